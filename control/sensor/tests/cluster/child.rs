//! Programs that a test starts and that end with it: by their own process id when dropped, and by the
//! kernel when the test's process ends without that.

use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use crate::common::finish;

/// A running program.
#[derive(Debug)]
pub(crate) struct Running {
    child: Option<Child>,
    name: String,
}

type Order = (Command, Sender<std::io::Result<Child>>);

/// The kernel ends children when the *thread* that started them ends, and tests are threads: so one thread,
/// which lives as long as the process, starts them all.
static STARTER: LazyLock<Mutex<Sender<Order>>> = LazyLock::new(|| {
    let (send, orders) = channel::<Order>();
    std::thread::spawn(move || {
        for (mut command, answer) in orders {
            let _ = answer.send(command.spawn());
        }
    });
    Mutex::new(send)
});

impl Running {
    /// Starts a program, whose output streams the command says.
    #[track_caller]
    pub(crate) fn start(command: &Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
        guarded.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(name, value),
                None => guarded.env_remove(name),
            };
        }
        Self { child: Some(Self::spawn(guarded)), name }
    }

    /// As `start`, with both streams in a file.
    #[track_caller]
    pub(crate) fn start_logged(command: &mut Command, log: &std::path::Path) -> Self {
        let shell = "exec >>\"$0\" 2>&1 </dev/null; exec \"$@\"";
        let mut logged = Command::new("sh");
        logged.args(["-c", shell]).arg(log).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                logged.env(name, value);
            }
        }
        let mut running = Self::start(&logged);
        running.name = command.get_program().to_string_lossy().into_owned();
        running
    }

    #[track_caller]
    fn spawn(command: Command) -> Child {
        let (answer, result) = channel();
        let text = format!("{command:?}");
        STARTER.lock().expect("no panic in it").send((command, answer)).expect("it lives");
        result.recv().expect("an answer").unwrap_or_else(|e| panic!("{text} did not start: {e}"))
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// Has it ended? With which status?
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.as_mut().and_then(|it| it.try_wait().expect("a child"))
    }

    /// Sends a signal by its name.
    #[track_caller]
    pub(crate) fn signal(&self, name: &str) {
        finish(Command::new("kill").args(["-s", name, &self.pid().to_string()])).expect(0);
    }

    /// Ends it at once, as the kernel's memory killer would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end and waits; its exit status.
    #[track_caller]
    pub(crate) fn terminate(&mut self, patience: Duration) -> Option<i32> {
        self.signal("TERM");
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended() {
                self.child = None;
                return status.code();
            }
            assert!(Instant::now() < deadline, "{} doesn't end", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
