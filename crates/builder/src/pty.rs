//! A pseudo-terminal for an operation, if the client's standard output is a terminal. Source: pty(7).

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::protocol::Size;

/// The two ends of a pseudo-terminal.
#[derive(Debug)]
pub(super) struct Pty {
    /// The builder's end.
    pub(super) controller: File,
    /// The end of the operation's process.
    pub(super) user: OwnedFd,
}

/// Opens a pseudo-terminal of that size.
pub(super) fn open(size: Size) -> std::io::Result<Pty> {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&controller)?;
    unlockpt(&controller)?;
    let name = ptsname(&controller, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let user = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
    let controller = File::from(controller);
    resize(&controller, size)?;
    // The client's own terminal processes the output.
    let mut settings = tcgetattr(&user)?;
    settings.output_modes.remove(OutputModes::OPOST);
    tcsetattr(&user, OptionalActions::Now, &settings)?;
    Ok(Pty { controller, user })
}

/// Changes the size. The kernel then sends SIGWINCH to the process.
pub(super) fn resize(controller: &File, size: Size) -> std::io::Result<()> {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(controller, size)?)
}
