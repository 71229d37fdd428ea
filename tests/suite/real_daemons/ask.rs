//! How the daemons show that they serve.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::processes::Running;
use super::service::Service;
use super::table::Ask;
use crate::support::DEADLINE;

/// How long an answer may take before the request is repeated.
const ANSWER: Duration = Duration::from_secs(1);

impl Service {
    /// Waits until the daemon answers.
    #[track_caller]
    pub fn serves(&self, running: &Running) {
        let began = Instant::now();
        loop {
            let why = match self.is_answered(running) {
                Ok(()) => break,
                Err(why) => why,
            };
            let log = || self.place.read("log");
            assert!(began.elapsed() < DEADLINE, "{why}: {}", log());
            running.assert_alive();
            std::thread::sleep(Duration::from_millis(5));
        }
        running.has_served.set(true);
    }

    fn is_answered(&self, running: &Running) -> io::Result<()> {
        match self.row.ask {
            Ask::Tcp(request, answer) => {
                let stream = TcpStream::connect(self.address)?;
                stream.set_read_timeout(Some(ANSWER))?;
                self.exchange(stream, request, answer)
            }
            Ask::Unix(path, request, answer) => {
                let path = match path.strip_prefix('/') {
                    // As the daemon sees it.
                    Some(path) => PathBuf::from(format!("/proc/{}/root/{path}", running.pid())),
                    None => self.home.join(path),
                };
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(ANSWER))?;
                self.exchange(stream, request, answer)
            }
            Ask::Udp(request, answer) => {
                let socket = self.send(request)?;
                let mut bytes = [0; 512];
                let size = socket.recv(&mut bytes)?;
                self.check(&bytes[..size], answer)
            }
            Ask::Written(line, name) => {
                let path = self.home.join(name);
                let before = fs::read(&path).unwrap_or_default().len();
                self.send(line)?;
                let began = Instant::now();
                while fs::read(&path)?.len() == before && began.elapsed() < ANSWER {
                    std::thread::sleep(Duration::from_millis(2));
                }
                self.check(&fs::read(&path)?[before..], &line[4..])
            }
            // Once in the daemon's life.
            Ask::Makes(_) if running.has_served.get() => Ok(()),
            Ask::Makes(name) => fs::remove_file(self.home.join(name)),
        }
    }

    /// Sends the request, and reads until the answer has come.
    fn exchange(
        &self,
        mut stream: impl Read + Write,
        request: &[u8],
        answer: &[u8],
    ) -> io::Result<()> {
        stream.write_all(request)?;
        let mut bytes = Vec::new();
        let mut more = [0; 512];
        while self.check(&bytes, answer).is_err() {
            let size = stream.read(&mut more)?;
            bytes.extend_from_slice(&more[..size]);
            if size == 0 {
                break;
            }
        }
        self.check(&bytes, answer)
    }

    fn send(&self, datagram: &[u8]) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(ANSWER))?;
        socket.connect(self.address)?;
        socket.send(datagram)?;
        Ok(socket)
    }

    /// Whether the bytes contain the answer of the table, or what a SIGHUP has put in its place.
    fn check(&self, bytes: &[u8], answer: &[u8]) -> io::Result<()> {
        let answer = self.answer.get().unwrap_or(answer);
        let is_there = bytes.windows(answer.len()).any(|window| window == answer);
        let other = || io::Error::other(String::from_utf8_lossy(bytes));
        is_there.then_some(()).ok_or_else(other)
    }
}
