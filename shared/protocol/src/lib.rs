//! The messages that P2C2R's programs exchange, and the types that these are made of.
//!
//! The crate holds plain data only: identifiers, money, limits, the messages of the four directions and
//! their wire codec. It opens no socket, reads no clock and knows no engine, so every other crate may
//! depend on it.
//!
//! | module | owns |
//! |---|---|
//! | [`ids`] | identifiers and content digests |
//! | [`money`] | integer nano-dollars, price lists and the fee |
//! | [`names`] | what a public name may look like |
//! | [`limits`] | every bound the programs enforce on one another |
//! | [`messages`] | the messages by direction, receipts and stage times |
//! | [`payload`] | bytes of specs and outcomes |
//! | [`channels`] | which message travels on which channel, and each channel's byte budget |
//! | [`region`] | the label with which an owner states where a worker is |
//! | [`wire`] | the only place that names the encoding |
//! | [`hashing`] | the hashes of maps on the path of every task |
//! | [`catch_panic`] | turns a panic in code that handles strangers' data into a value |
//! | [`identity`] | the fingerprint two builds must share before they talk |

pub mod catch_panic;
pub mod channels;
pub mod hashing;
pub mod identity;
pub mod ids;
pub mod limits;
pub mod messages;
pub mod money;
pub mod names;
pub mod payload;
pub mod region;
pub mod wire;

pub use channels::Channel;
pub use hashing::{NumberHash, SeededHash};
pub use identity::ProtocolIdentity;
pub use ids::{AccountKey, Attempt, Digest, KindId, Micros, PeerId, Role, TaskId, TaskNo};
pub use messages::*;
pub use money::{Device, FeeCarry, Nanos, PriceList, TASK_PRICE_MIN, WorkUnits};
pub use names::{check_name, fit_name, is_printable, mark_unprintable, printable};
pub use payload::Payload;
pub use region::{NoRegion, Region};
