//! Opening and creating files and directories where other users may write.

use crate::protocol::Errno;
use crate::sys::{self, Fd, Missing, Open, RawFd, ThinCStr};

/// How often a file is tried that other processes create and remove.
const ATTEMPTS: u32 = 100;

/// Opens a file, and creates it if it is missing and its purpose is [`Open::Append`].
///
/// In a sticky directory, the kernel may refuse O_CREAT for another user's file, to root too (fs.protected_regular): the
/// file is opened without it first. As the last component of the path, root does not follow a symbolic link of another
/// user's (`ELOOP`), which could make it write to any file. It follows a link of root's, with every link that this
/// leads to, and the owner of the directory can exchange the link after the look.
#[inline(never)]
pub(crate) fn open_file(directory: RawFd, path: ThinCStr<'_>, purpose: Open) -> Result<Fd, Errno> {
    let mut missing = Missing::FailsAsLinks;
    for _ in 0..ATTEMPTS {
        let opened = sys::open_at(directory, path, purpose, missing);
        missing = match (&opened, missing) {
            // In place of a directory, a link is ENOTDIR.
            (Err(Errno::ELOOP | Errno::ENOTDIR), Missing::FailsAsLinks) => {
                if sys::lstat_at(directory, path)?.is_foreign_link() {
                    return Err(Errno::ELOOP);
                }
                Missing::Fails
            }
            (Err(Errno::ENOENT), Missing::FailsAsLinks) if purpose == Open::Append => {
                Missing::IsCreatedOnly
            }
            (Err(Errno::ENOENT), Missing::Fails) if purpose == Open::Append => Missing::IsCreated,
            (Err(Errno::EEXIST), _) => Missing::FailsAsLinks,
            _ => return opened,
        };
    }
    Err(Errno::EBUSY)
}
