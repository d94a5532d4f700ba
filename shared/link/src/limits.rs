//! Every bound the link puts on a peer, on an update and on itself.

use std::time::Duration;

use p2c2r_protocol::channels::CHANNEL_MEMORY_BYTES_MAX;
use p2c2r_protocol::limits::{CONNECT_TOKEN_BYTES_MAX, MESSAGE_BYTES_MAX};

/// Bytes of one slice: renet's constant. A message longer than this travels in slices of exactly this size.
pub const SLICE_BYTES: usize = 1_200;
/// Bytes of a parcel, which is several messages sent as one of renet's. With renet's numbers it fills one packet. A
/// message that travels alone may be longer.
pub const PARCEL_BYTES_MAX: usize = SLICE_BYTES - 10;
/// Slices of one message: what the largest message needs.
pub const SLICES_MAX: u64 = MESSAGE_BYTES_MAX.div_ceil(SLICE_BYTES) as u64;
/// Bytes of one UDP payload: netcode's constant.
pub const PACKET_BYTES_MAX: usize = renetcode::NETCODE_MAX_PACKET_BYTES;
/// Bytes to which a datagram's content may grow when an acknowledgement is appended: as many as a slice with its
/// numbers takes, so that any path that carries a slice carries this.
pub const RIDING_BYTES_MAX: usize = SLICE_BYTES + 24;
/// Packets of a burst that share one parity. More would save bytes, but make it likelier that two of them are lost, which
/// one parity cannot restore.
pub const BURST_PACKETS_MAX: u8 = 8;
/// A peer's latest bursts that are kept so that their lost packets can be restored, some 10 KB. They are more than the
/// bursts by which a packet can be late.
pub const BURSTS_KEPT: usize = 8;
/// Bytes of UDP, IP and netcode around one renet packet, as pacing counts them.
pub const OVERHEAD_BYTES: usize = 28 + 17 + 4;

/// Bytes of the coordinator's socket buffer in each direction. Linux counts a small datagram as 768 bytes and
/// doubles the size it is asked for, so a heartbeat of each of 1,024 peers at one moment fits twice where the
/// system grants it (Linux up to `net.core.rmem_max`, by default a fifth of it); a much larger buffer would
/// delay packets by milliseconds under a flood.
pub const SOCKET_BUFFER_BYTES: usize = 1 << 20;
/// Packets read in one update; the rest wait for the next, which follows at once.
pub const PACKETS_PER_UPDATE_MAX: usize = 1_024;
/// Of those, packets with complete messages at the coordinator. Few, because an update's decisions leave at
/// its end: workers compute and gamers go on while it reads later packets. Reading all at once would pass a
/// burst of small tasks from program to program as one batch, each task waiting for the one before.
pub const LADEN_PACKETS_PER_UPDATE_MAX: usize = 8;
/// Messages of one peer that an update passes on; further parcels wait for the next update, which follows at
/// once. An ordered channel releases at one moment all messages that waited for one lost packet.
pub const MESSAGES_PER_UPDATE_MAX: usize = 4_096;
/// Bytes that renet may put into packets per call. Small, because renet retransmits them after 70 ms unless
/// acknowledged, and at 1 Mbit/s these bytes alone take 29 ms.
pub const BYTES_PER_CALL: u64 = 3_600;
/// Bytes waiting for the token bucket above which renet is not asked for more, so that retransmissions do not
/// pile up.
pub const QUEUED_BYTES_MAX: usize = 1_300;
/// Packets gathered for a peer without a rate limit before they are ordered and sent: as many as the system
/// takes at once.
pub const RUN_PACKETS: usize = 64;
/// Bytes of one run of packets: the limit of a UDP datagram, because a run is one until the system segments it.
pub const RUN_BYTES_MAX: usize = 65_000;
/// Error reports (such as an unreachable port) that one reading of a socket skips: each takes a packet's
/// place.
pub const REPORTS_MAX: usize = 16;
/// Calls to renet per peer and update: what a local peer can take at once without starving others.
pub const CALLS_PER_UPDATE_MAX: usize = 64;

/// Bytes that a receiving channel may hold: twice what a sender may have in flight, because renet counts the
/// last slice of a message as a full one.
pub const RECEIVE_BYTES_MAX: usize = 2 * CHANNEL_MEMORY_BYTES_MAX;
/// The same on the ordered channel at the coordinator, where messages wait for a missing one. It is little because a
/// client sends only a handful of short messages there.
pub const CONTROL_BYTES_MAX: usize = 64 * 1024;
/// Messages on that channel that may wait for a missing one, each of one slice at most. Longer messages and those further
/// ahead are ignored until they are sent again.
pub const CONTROL_AHEAD_MAX: u64 = 48;
/// Bytes of partly received messages per channel of one peer; slices of further messages wait for a resend.
pub const REASSEMBLY_BYTES_MAX: usize = 512 * 1024;
/// Reliable messages a peer may be ahead of the oldest one still missing; those further ahead wait.
pub const MESSAGES_AHEAD_MAX: u64 = 16_384;
/// A reliable message further ahead than this cannot come from a renet sender: even with one byte each, the messages
/// before it would fill its channel's memory.
pub const MESSAGES_AHEAD_POSSIBLE: u64 = CHANNEL_MEMORY_BYTES_MAX as u64 + MESSAGES_AHEAD_MAX;
/// How many packets late one may be; netcode's replay window is as wide.
pub const PACKETS_LATE_MAX: u64 = 256;
/// How many packets early one may be: more cannot have been lost before the link is declared dead.
pub const PACKETS_EARLY_MAX: u64 = 1 << 20;
/// Ranges in one acknowledgement; renet keeps 64 and some more under reordering.
pub const ACK_RANGES_MAX: u64 = 256;
/// Heartbeats in one packet.
pub const BEATS_PER_PACKET_MAX: u16 = 8;
/// Bytes of one encoded heartbeat.
pub const BEAT_BYTES_MAX: usize = 64;
/// Messages that do not decode before their peer is dropped.
pub const UNDECODABLE_MAX: u64 = 3;

/// Packets and bytes per second accepted from a peer on this machine.
pub const INTAKE_LOCAL: (f64, f64) = (400_000.0, 256e6);
/// Packets and bytes per second accepted from a peer elsewhere: well above what 1 Mbit/s can carry, well below what does
/// harm.
pub const INTAKE_REMOTE: (f64, f64) = (5_000.0, 4e6);
/// Forged packets with one peer's address per second above which the peer counts as under attack; half a
/// second's worth at once. An honest network produces only copies.
pub const FORGED_PER_SECOND: f64 = 1_000.0;
/// Packets opened per second for all peers under attack together. More would take more than a tenth of a
/// processor; less would cost such a peer its own packets under a smaller flood.
pub const PLAGUED_CHECKS_PER_SECOND: f64 = 100_000.0;
/// Strangers' packets handled in one update; the rest waits for the next, which follows at once. Peers'
/// packets wait behind them, some 0.3 ms.
pub const STRANGERS_PER_UPDATE_MAX: usize = 256;
/// Shortest time between two answers to one handshake. It is shorter than netcode's pause between two requests, so each
/// of an honest client's is answered, and asking more often gains nothing.
pub const CHALLENGE_PAUSE: Duration = Duration::from_millis(100);
/// Pending handshakes; each takes 1.6 KB.
pub const HANDSHAKES_MAX: usize = 4_096;
/// The same per address and port: a response from there is tried with the key of each.
pub const HANDSHAKES_PORT_MAX: usize = 4;
/// The same per IPv4 address or IPv6 /64.
pub const HANDSHAKES_NARROW_MAX: usize = 32;
/// The same per IPv4 /24 or IPv6 /48.
pub const HANDSHAKES_WIDE_MAX: usize = 256;
/// How long a handshake may take.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// Connections that one IPv4 address or IPv6 /64 may hold if an eighth of all places is fewer: a family or an
/// office behind one address.
pub const PLACES_NARROW_LEAST: u32 = 16;
/// Connections that one IPv4 /24 or IPv6 /48 may hold if a quarter of all places is fewer.
pub const PLACES_WIDE_LEAST: u32 = 64;
/// Lifetime of a connect token in seconds: long enough for a slow line's handshake, short enough that a
/// stolen one soon expires.
pub const TOKEN_SECONDS: u64 = 60;
/// Connect tokens of one account made within their lifetime: sixteen programs that try four times each.
pub const TOKENS_PER_ACCOUNT_MAX: usize = 64;
/// Connect tokens neither used nor over, of all accounts together; each takes about half a kilobyte.
pub const TOKENS_MAX: usize = 32_768;
/// Connect tokens that count against their accounts' limits, used or not, for the lifetime of one; beyond this number the
/// oldest stop counting.
pub const TOKENS_MADE_MAX: usize = 2 * TOKENS_MAX;
/// Bytes of a connect token: netcode's constant.
pub const TOKEN_BYTES_MAX: usize = CONNECT_TOKEN_BYTES_MAX;
/// Age at which the coordinator replaces the spare token of a connection. The rest of the token's life is a reserve for a
/// client that is cut off just before: twelve lost packets of the new token, a handshake over any distance, and HTTPS if
/// that fails.
pub const SPARE_EVERY: Duration = Duration::from_secs(45);
/// How often the coordinator checks whether a connection needs a new spare token, and the longest time until its first one.
/// With a longer pause, a client whose spare was used up in a silence that then ended would be without one for longer.
pub const SPARE_LOOK: Duration = Duration::from_secs(5);
/// How long before a spare token's presumed end a client stops using it: the token may have arrived that late, and the
/// handshake takes time.
pub const SPARE_MARGIN: Duration = Duration::from_secs(5);
/// How long a client waits for an answer to its spare token before it also requests one over HTTPS, and how much longer than
/// a round trip it waits for the end of a handshake that was answered. A restarted coordinator does not answer, so clients
/// return to it later by this much. With less, more clients would begin a TLS handshake and be back before it is over.
pub const SPARE_PATIENCE: Duration = Duration::from_millis(200);
/// Time between two connect tokens that a connected client requests because the coordinator is silent: on a line that
/// loses heartbeats, not each of them may cost a TLS handshake.
pub const TOKEN_AHEAD_EVERY: Duration = Duration::from_secs(30);
/// How long a client that has lost its coordinator waits for a requested token before it requests a second one. A TCP
/// connection whose first packet was lost with the line tries again after a second too. With less, each client would cost
/// a restarted coordinator two TLS handshakes.
pub const TOKEN_AGAIN: Duration = Duration::from_secs(1);
/// Time-out of a client for its connect token: a name look-up, and several addresses tried over HTTPS.
pub const TOKEN_WAIT_MAX: Duration = Duration::from_secs(40);
/// Netcode's own time-out, in case our heartbeats fail.
pub const NETCODE_TIMEOUT_SECONDS: i32 = 10;

/// Interval of heartbeats while either side has tasks out.
pub const BEAT_BUSY: Duration = Duration::from_millis(100);
/// Interval of a client's heartbeats otherwise, give or take [`BEAT_IDLE_SLACK`].
pub const BEAT_IDLE: Duration = Duration::from_secs(1);
/// How much sooner or later than [`BEAT_IDLE`] an idle client's heartbeat may leave, so that it leaves when one of the
/// coordinator's arrives: half of the time between those, so that one does arrive. With less, each client would send at
/// moments of its own, and the coordinator would be woken for each.
pub const BEAT_IDLE_SLACK: Duration = Duration::from_millis(125);
/// Between the coordinator's heartbeats to a client otherwise: by their absence a client notices that it was cut off. A
/// thousand idle clients are sent 0.3 MB/s that way; half the pause would double that and what it takes of a processor
/// (`docs/PERFORMANCE.md`), twice the pause would make a cut last more than a second.
pub const BEAT_IDLE_TO_CLIENT: Duration = Duration::from_millis(250);
/// The coordinator's idle heartbeats leave at multiples of this, so that a thousand clients wake it 40 times
/// a second instead of 4,000 times.
pub const BEAT_GRID: Duration = Duration::from_millis(25);
/// Silence that ends the connection while this side has tasks out at the peer; twice this at the coordinator
/// while packets are unread.
pub const DEATH_BUSY: Duration = Duration::from_millis(350);
/// Silence that ends the connection otherwise, at the coordinator, and at a client that has never got a
/// heartbeat back.
pub const DEATH_IDLE: Duration = Duration::from_secs(5);
/// Silence after which an idle client asks for a heartbeat, every [`BEAT_BUSY`]: one of the coordinator's is
/// missing. Shorter, and every late one would cause a request.
pub const DOUBT_IDLE: Duration = Duration::from_millis(300);
/// Silence, plus a round trip, that ends an idle client's connection: two heartbeats and two replies are
/// missing. With the reconnect that is within a second of a cut.
pub const DEATH_IDLE_AT_CLIENT: Duration = Duration::from_millis(500);
/// A client whose connection had lasted reconnects at a random time within this, so that clients that lost
/// their coordinator do not return at one moment.
pub const REDIAL_WITHIN: Duration = Duration::from_millis(100);
/// How long an event-driven program delays an acknowledgement, to send one for many packets. A program that
/// runs in frames acknowledges in the same frame: its next one may be 16 ms away.
pub const ACK_DELAY: Duration = Duration::from_millis(5);
/// Packets after which an acknowledgement is no longer delayed.
pub const ACK_PACKETS: u32 = 16;
/// Packets after which an acknowledgement does not even wait for the end of the update. Every packet may be a
/// range of its own, because delayed acknowledgements leave gaps between packet numbers.
pub const ACK_PACKETS_MAX: u32 = 48;
/// The longest that a headless program may poll for the next packet before it sleeps; longer would only
/// occupy a processor.
pub const BUSY_POLL_MAX: Duration = Duration::from_millis(10);
/// How often netcode repeats a packet of its handshake.
pub const NETCODE_RESEND: Duration = Duration::from_millis(250);
/// How often netcode's own clockwork runs for a connection at the coordinator; each run sends a keep-alive unless something
/// else has just left.
pub const NETCODE_TICK: Duration = Duration::from_secs(2);
/// How much sooner it may run when another packet has just left, so that it sends no keep-alive: heartbeats keep the
/// connection alive.
pub const NETCODE_TICK_SLACK: Duration = Duration::from_millis(500);
/// How often it runs at a client, where each run sends a keep-alive: seldom, because heartbeats keep the connection alive.
pub const NETCODE_TICK_AT_CLIENT: Duration = Duration::from_secs(5);
/// How often it runs at the coordinator before the peer has been heard: netcode's answer to the handshake may have been
/// lost.
pub const NETCODE_TICK_UNCONFIRMED: Duration = Duration::from_millis(250);
/// Packets in one direction of an impaired line.
pub const IMPAIRED_PACKETS_MAX: usize = 16_384;
/// Packets waiting at one port of a memory hub: about a socket's receive buffer.
pub const PORT_PACKETS_MAX: usize = 4_096;

const _: () = assert!(PARCEL_BYTES_MAX + 2 + 8 <= SLICE_BYTES, "renet puts a parcel into one packet");
const _: () = assert!(LADEN_PACKETS_PER_UPDATE_MAX <= PACKETS_PER_UPDATE_MAX);
const _: () =
    assert!(RIDING_BYTES_MAX + 6 <= renetcode::NETCODE_MAX_PAYLOAD_BYTES, "a parity of the longest fits");
const _: () = assert!(BURST_PACKETS_MAX < 32, "a burst's packets are kept in a u32");
const _: () = assert!(RUN_BYTES_MAX <= 65_507, "what UDP can carry over IPv4");
const _: () =
    assert!(3 * RUN_PACKETS as u64 <= PACKETS_LATE_MAX, "a run and its acknowledgements come in time");
const _: () = assert!(SLICES_MAX <= 128, "the guard keeps one message's slices in a u128");
const _: () = assert!(BEAT_IDLE_TO_CLIENT.as_millis().is_multiple_of(BEAT_GRID.as_millis()));
const _: () = assert!(BEAT_IDLE_TO_CLIENT.as_millis() < DOUBT_IDLE.as_millis());
const _: () = assert!(2 * BEAT_IDLE_SLACK.as_millis() >= BEAT_IDLE_TO_CLIENT.as_millis());
const _: () = assert!(BEAT_IDLE.as_millis() + BEAT_IDLE_SLACK.as_millis() < DEATH_IDLE.as_millis() / 2);
const _: () = assert!(DOUBT_IDLE.as_millis() + BEAT_BUSY.as_millis() < DEATH_IDLE_AT_CLIENT.as_millis());
const _: () = assert!(BEAT_IDLE_TO_CLIENT.as_millis() < NETCODE_TICK_SLACK.as_millis());
const _: () = assert!(NETCODE_TICK_SLACK.as_millis() < NETCODE_TICK.as_millis());
const _: () = assert!(NETCODE_TICK_AT_CLIENT.as_secs() < NETCODE_TIMEOUT_SECONDS as u64);
const _: () = assert!(TOKENS_PER_ACCOUNT_MAX < TOKENS_MAX && TOKENS_MAX < TOKENS_MADE_MAX);
const _: () =
    assert!(SPARE_EVERY.as_secs() + 2 * SPARE_LOOK.as_secs() < TOKEN_SECONDS, "spares do not run out");
const _: () = assert!(HANDSHAKE_TIME_MAX.as_secs() <= SPARE_LOOK.as_secs());
const _: () = assert!(STRANGERS_PER_UPDATE_MAX < PACKETS_PER_UPDATE_MAX);
const _: () = assert!(HANDSHAKES_NARROW_MAX < HANDSHAKES_WIDE_MAX && HANDSHAKES_WIDE_MAX < HANDSHAKES_MAX);
const _: () = assert!(CHALLENGE_PAUSE.as_millis() < NETCODE_RESEND.as_millis());
const _: () = assert!(BYTES_PER_CALL >= 2 * SLICE_BYTES as u64, "a slice must fit beside a heartbeat");
const _: () = assert!(REASSEMBLY_BYTES_MAX >= 2 * MESSAGE_BYTES_MAX);
const _: () = assert!(REASSEMBLY_BYTES_MAX + CHANNEL_MEMORY_BYTES_MAX <= RECEIVE_BYTES_MAX);
const _: () = assert!(CONTROL_AHEAD_MAX as usize * SLICE_BYTES <= CONTROL_BYTES_MAX);
const _: () = assert!(ACK_PACKETS <= ACK_PACKETS_MAX && ACK_PACKETS_MAX < 64, "renet keeps 64 ranges");
