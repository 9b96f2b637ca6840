//! Server processes of the run: started on a free port, waited for, metered, and killed at the end.

use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that does not accept connections after this time has failed to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of the times in `/proc`: `USER_HZ`, which Linux has fixed for its users.
const TICK: Duration = Duration::from_millis(10);

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts the command and waits until the address takes connections.
    pub(crate) fn start(mut command: Command, address: SocketAddr, stdin: &str) -> Self {
        let log = crate::settings::run_dir().join(format!("{}.log", address.port()));
        let output = File::create(&log).unwrap();
        command
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output);
        let program = command.get_program().to_owned();
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        let mut input = child.stdin.take().unwrap();
        input.write_all(stdin.as_bytes()).unwrap();
        drop(input);
        let mut process = Self {
            child,
            log,
            address,
        };
        process.wait_until(|| TcpStream::connect(address).is_ok());
        process
    }

    #[track_caller]
    fn wait_until(&mut self, ready: impl Fn() -> bool) {
        let started = Instant::now();
        while !ready() {
            let ended = self.child.try_wait().unwrap();
            let late = started.elapsed() > PATIENCE;
            if ended.is_some() || late {
                let log = std::fs::read_to_string(&self.log).unwrap();
                panic!("the server does not start ({ended:?}):\n{log}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the process and its children have computed so far.
    pub(crate) fn cpu(&self) -> Duration {
        cpu_of(self.id())
    }

    pub(crate) fn resident_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let kib = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        kib.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn cpu_of(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name of the program, in parentheses, may have spaces. After it, utime and stime are the 12th and 13th field.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u32 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u32>().unwrap())
        .sum();
    let children = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(children).unwrap();
    let children = children.split_whitespace();
    TICK * ticks
        + children
            .map(|child| cpu_of(child.parse().unwrap()))
            .sum::<Duration>()
}

/// An address that is free now.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
}
