//! The protocol's channels in renet's configuration.

use p2c2r_protocol::Channel;
use p2c2r_protocol::channels::CHANNEL_MEMORY_BYTES_MAX;
use renet::{ChannelConfig, ConnectionConfig, RenetClient, SendType};

use crate::connection::ConnectionEnd;
use crate::limits::{BYTES_PER_CALL, CONTROL_BYTES_MAX, RECEIVE_BYTES_MAX};

/// A connection, at either end; not yet connected. `RenetClient` is renet's type for both ends: it sends on the channels that
/// are configured as the client's.
pub(crate) fn new_connection(end: ConnectionEnd) -> RenetClient {
    let may_wait_here = |channel| match (end, channel) {
        (ConnectionEnd::Server, Channel::Control) => CONTROL_BYTES_MAX,
        _ => RECEIVE_BYTES_MAX,
    };
    RenetClient::new(ConnectionConfig {
        available_bytes_per_tick: BYTES_PER_CALL,
        client_channels_config: channels(|_| CHANNEL_MEMORY_BYTES_MAX),
        server_channels_config: channels(may_wait_here),
    })
}

/// Heartbeats come first: renet drops unreliable messages that do not fit into a call's remaining bytes.
fn channels(bytes_max: impl Fn(Channel) -> usize) -> Vec<ChannelConfig> {
    [Channel::Beat]
        .into_iter()
        .chain(Channel::RELIABLE)
        .map(|channel| ChannelConfig {
            channel_id: channel as u8,
            max_memory_usage_bytes: bytes_max(channel),
            send_type: match (channel, channel.resend_after()) {
                (_, None) => SendType::Unreliable,
                (Channel::Control, Some(resend_time)) => SendType::ReliableOrdered { resend_time },
                (_, Some(resend_time)) => SendType::ReliableUnordered { resend_time },
            },
        })
        .collect()
}
