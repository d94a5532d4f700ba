//! The protocol's channels in renet's configuration.

use p2c2r_protocol::Channel;
use p2c2r_protocol::channels::CHANNEL_MEMORY_BYTES_MAX;
use renet::{ChannelConfig, ConnectionConfig, SendType};

use crate::limits::{BYTES_PER_CALL, RECEIVE_BYTES_MAX};

/// Which end of a connection a configuration is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConnectionEnd {
    Server,
    Client,
}

/// renet's configuration of one end.
pub(crate) fn connection_config(end: ConnectionEnd) -> ConnectionConfig {
    let (sending, receiving) = (channels(CHANNEL_MEMORY_BYTES_MAX), channels(RECEIVE_BYTES_MAX));
    let (server, client) = match end {
        ConnectionEnd::Server => (sending, receiving),
        ConnectionEnd::Client => (receiving, sending),
    };
    ConnectionConfig {
        available_bytes_per_tick: BYTES_PER_CALL,
        server_channels_config: server,
        client_channels_config: client,
    }
}

/// Heartbeats come first: renet drops unreliable messages that do not fit into a call's remaining bytes.
fn channels(max_memory_usage_bytes: usize) -> Vec<ChannelConfig> {
    [Channel::Beat, Channel::Control, Channel::Tasks]
        .into_iter()
        .map(|channel| ChannelConfig {
            channel_id: channel as u8,
            max_memory_usage_bytes,
            send_type: match (channel, channel.resend_after()) {
                (_, None) => SendType::Unreliable,
                (Channel::Control, Some(resend_time)) => SendType::ReliableOrdered { resend_time },
                (_, Some(resend_time)) => SendType::ReliableUnordered { resend_time },
            },
        })
        .collect()
}
