//! Which process the kernel takes when memory runs out, `oom_score_adj` in proc_pid_oom_score_adj(5).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

/// The largest value of the file.
const MOST: i32 = 1000;

/// The score of this process, through a file that stays open: once the process is undumpable, it may not open it any more.
#[derive(Debug)]
pub struct OomScore {
    file: File,
    own: i32,
}

impl OomScore {
    /// Opens the file. The process has to be dumpable still.
    ///
    /// # Errors
    /// As open(2) and read(2); `InvalidData` if the file has no number.
    pub fn open() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .open("/proc/self/oom_score_adj")?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let own = text.trim().parse();
        let own = own.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Self { file, own })
    }

    /// Runs `work` with a score that is higher by `step`. Processes that begin meanwhile keep it: the kernel takes them before
    /// this one.
    ///
    /// No right is needed: a process may lower its score to what it got from a process with `CAP_SYS_RESOURCE`.
    pub fn raised<T>(&self, step: i32, work: impl FnOnce() -> T) -> T {
        self.set(self.own.saturating_add(step).min(MOST));
        let done = work();
        self.set(self.own);
        done
    }

    /// A score that stays as it was does no harm: the kernel may choose otherwise, no more.
    fn set(&self, score: i32) {
        let _ = (&self.file).write_all(score.to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_child_keeps_the_score_of_its_start() {
        let score = || std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
        let before = score();
        let own = OomScore::open().unwrap();
        let mut child = own.raised(20, || Command::new("sleep").arg("1000").spawn().unwrap());
        let of_child = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        let expected = before.trim().parse::<i32>().unwrap() + 20;
        assert_eq!(of_child.unwrap().trim().parse(), Ok(expected.min(MOST)));
        assert_eq!(score(), before);
    }
}
