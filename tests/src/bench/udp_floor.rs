//! The floor: the same four hops over plain blocking UDP sockets, with no protocol at all.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Load, Rival, Round, drive, number_of, payload};

/// Client, hub and worker on three threads of this process.
pub struct UdpFloor {
    client: UdpSocket,
    hub: SocketAddr,
    worker: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

fn bind() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
}

impl UdpFloor {
    /// Starts hub and worker.
    pub fn start() -> io::Result<Self> {
        let (client, hub, worker) = (bind()?, bind()?, bind()?);
        client.set_read_timeout(Some(Duration::from_secs(5)))?;
        let (client_at, hub_at, worker_at) = (client.local_addr()?, hub.local_addr()?, worker.local_addr()?);
        let stop = Arc::new(AtomicBool::new(false));
        let forward = |socket: UdpSocket, route: fn(SocketAddr, [SocketAddr; 3]) -> SocketAddr| {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let mut buffer = [0; 2048];
                while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let to = route(from, [client_at, hub_at, worker_at]);
                    if socket.send_to(&buffer[..len], to).is_err() {
                        break;
                    }
                }
            })
        };
        let threads = vec![
            forward(hub, |from, [client, _, worker]| if from == worker { client } else { worker }),
            forward(worker, |_, [_, hub, _]| hub),
        ];
        Ok(Self { client, hub: hub_at, worker: worker_at, stop, threads })
    }
}

impl Drop for UdpFloor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for address in [self.hub, self.worker] {
            // A thread that is gone already needs no waking.
            let _ = self.client.send_to(&[0], address);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Rival for UdpFloor {
    fn name(&self) -> &'static str {
        "udp-floor"
    }

    fn round(&mut self, load: Load) -> io::Result<Round> {
        let mut buffer = [0; 2048];
        drive(
            load,
            |number| self.client.send_to(&payload(number, load.size_bytes), self.hub).map(drop),
            || {
                let len = self.client.recv(&mut buffer)?;
                number_of(&buffer[..len], load.size_bytes)
            },
        )
    }
}
