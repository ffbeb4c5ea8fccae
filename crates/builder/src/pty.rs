//! A terminal of the builder's own, where the client's standard output is one.

use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, OutputModes, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use super::protocol::Size;

/// Our end and the process's.
#[derive(Debug)]
pub(super) struct Pty {
    pub(super) controller: File,
    pub(super) user: OwnedFd,
}

/// Makes one of that size.
pub(super) fn open(size: Size) -> std::io::Result<Pty> {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&controller)?;
    unlockpt(&controller)?;
    let name = ptsname(&controller, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let user = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
    let controller = File::from(controller);
    resize(&controller, size)?;
    // What is to be done with the output, the client's own terminal does.
    let mut settings = tcgetattr(&user)?;
    settings.output_modes.remove(OutputModes::OPOST);
    tcsetattr(&user, OptionalActions::Now, &settings)?;
    Ok(Pty { controller, user })
}

/// The kernel tells the process with SIGWINCH.
pub(super) fn resize(controller: &File, size: Size) -> std::io::Result<()> {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    Ok(tcsetwinsize(controller, size)?)
}
