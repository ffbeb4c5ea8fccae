//! TEMPORARY
use crate::report::Wiped;
use std::path::PathBuf;
use std::time::Duration;
/// x
pub fn empty(roots: &[PathBuf], _b: Duration) -> Wiped {
    let mut w = Wiped::default();
    for r in roots {
        if let Ok(es) = std::fs::read_dir(r) {
            for e in es.flatten() {
                let p = e.path();
                let ok = if e.file_type().unwrap().is_dir() {
                    std::fs::remove_dir_all(&p)
                } else {
                    std::fs::remove_file(&p)
                };
                if let Err(x) = ok {
                    w.leftover_count += 1;
                    w.leftovers.push(format!("{}: {x}", p.display()));
                } else {
                    w.files += 1;
                }
            }
        }
    }
    w
}
