//! Two threads that block, one connection, no framing: what the kernel alone costs.

use std::io::{BufRead, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use crate::figures::{Figures, cpu_time};
use crate::job::Job;
use crate::meter::{Pace, Tally};
use crate::roles::{Fault, Greeting};

/// As many bytes as the others have around a message.
const LENGTH_BYTES: usize = 4;

pub fn serve(job: Job) -> Result<(), Fault> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", serde_json::to_string(&Greeting { address: listener.local_addr()?, trust: String::new() })?);
    let cpu = cpu_time();
    let (mut io, _) = listener.accept()?;
    io.set_nodelay(true)?;
    let mut message = vec![0; LENGTH_BYTES + job.bytes];
    while io.read_exact(&mut message).is_ok() {
        io.write_all(&message)?;
    }
    std::io::stdin().lock().read_line(&mut String::new())?;
    let figures = Figures { cpu_seconds: (cpu_time() - cpu).as_secs_f64(), ..Figures::default() };
    println!("{}", serde_json::to_string(&figures)?);
    Ok(())
}

pub fn drive(job: Job, greeting: &Greeting, tally: &Arc<Tally>) -> Result<(), Fault> {
    let mut io = TcpStream::connect(greeting.address)?;
    io.set_nodelay(true)?;
    let mut message = vec![0x5a; LENGTH_BYTES + job.bytes];
    let mut pace = Pace::new(&job, tally);
    pace.request();
    while !pace.is_over() {
        io.write_all(&message)?;
        io.read_exact(&mut message)?;
        pace.answer();
    }
    Ok(())
}
