//! Calls of SQS on their way: request by request, answer by answer.

use std::{io, time::Duration};

use tokio::{net::TcpStream, time::Instant};

use super::{
    call::{Call, Deliveries},
    frame::Frames,
};
use crate::proxy::{Link, Mode, Wire};

/// A server that takes so long for a call costs leases: the machine is busy.
const SLUGGISH: Duration = Duration::from_millis(150);

/// What the connections of a proxy know.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    deliveries: Deliveries,
}

impl Wire for Calls {
    async fn pass(
        &self,
        link: &Link,
        mut client: TcpStream,
        mut server: TcpStream,
    ) -> io::Result<()> {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let (mut requests, mut answers) = (Frames::default(), Frames::default());
        loop {
            let request = tokio::select! {
                request = requests.next(&mut from_client) => request?,
                _ = answers.next(&mut from_server) => None,
            };
            let Some(mut request) = request else {
                return Ok(());
            };
            let mut call = Call::new(&request, &self.deliveries, &link.ledger);
            link.stalled().await;
            let refused = match link.mode() {
                Mode::Refuse => call.refuse_some(&mut request),
                _ => None,
            };
            let mut answer = match refused {
                Some(answer) => answer,
                None => {
                    link.write(&request.bytes(), &mut to_server).await?;
                    let asked = Instant::now();
                    let answer = tokio::select! {
                        answer = answers.next(&mut from_server) => answer?,
                        // Who hangs up, or goes on talking, wants no answer.
                        _ = requests.next(&mut from_client) => None,
                    };
                    if !call.waits() && asked.elapsed() > SLUGGISH {
                        let took = asked.elapsed().as_millis();
                        link.ledger.write(&format!("sluggish server {took}"));
                    }
                    answer.ok_or(io::ErrorKind::UnexpectedEof)?
                }
            };
            call.answered(&mut answer, &self.deliveries);
            if link.mode() == Mode::Swallow {
                return Ok(());
            }
            link.stalled().await;
            link.write(&answer.bytes(), &mut to_client).await?;
            call.through(&answer);
        }
    }
}
