//! One pod and one BuildKit, in which all cases are built and compared.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::Pod;

use crate::buildkit::Buildkit;
use crate::case::{BASES, Case, parse};
use crate::compare::{differences, shown};
use crate::explained::may_differ;
use crate::generate::GENERATED;
use crate::product::{Shell, workspace};

/// So many cases are built at once.
const WORKERS: usize = 4;

/// So often a case is built if nothing but the lines of its steps differs. A step of an earlier case may be cached and print
/// nothing, and under chroot isolation Buildah loses lines.
const ATTEMPTS: usize = 4;

struct Lab {
    pod: Pod,
    buildkit: Buildkit,
    /// On this machine; the job has it at `INSIDE`.
    contexts: PathBuf,
}

const INSIDE: &str = "/workspace/work/conformance";

impl Lab {
    fn start() -> Self {
        let pod = Pod::start(&[], r#"{"auths":{}}"#);
        let buildkit = Buildkit::start(&pod.name());
        let contexts = workspace(&pod.name()).join("work/conformance");
        let lab = Self {
            pod,
            buildkit,
            contexts,
        };
        let text =
            std::fs::read_to_string(support::root().join("tests/conformance/bases.txt")).unwrap();
        for mut base in parse(&text).unwrap() {
            base.add("busybox", 0o755, "");
            let context = lab.contexts.join(&base.name);
            base.write(&context);
            std::fs::copy("/bin/busybox", context.join("busybox")).unwrap();
            lab.buildkit
                .push(&base, &context, &format!("{BASES}/{}:latest", base.name));
        }
        lab
    }

    /// Builds a case twice. Returns what is at fault.
    fn compare(&self, shell: &mut Shell, number: usize, case: &Case) -> Option<String> {
        let context = self.contexts.join(number.to_string());
        case.write(&context);
        let inside = format!("{INSIDE}/{number}");
        let archive = context.with_extension("buildkit");
        let mut case = case.clone();
        let (input, generated) = (case.text(), case.name.starts_with(GENERATED));
        let mut found = Vec::new();
        for attempt in 0..ATTEMPTS {
            if attempt == 1 {
                case.settings.push(("no-cache".to_owned(), String::new()));
            }
            let expected = self.buildkit.build(&case, &context, &archive);
            let here = shell.build(&case, &context, &inside);
            found = differences(&expected, &here);
            if generated {
                found.retain(|difference| !may_differ(&input, difference));
            }
            if here.said == expected.said || found.len() > 1 || here.image.is_none() {
                break;
            }
        }
        let _ = std::fs::remove_dir_all(&context);
        fault(&case, &found)
    }
}

/// Says what is at fault with a case, if anything is.
fn fault(case: &Case, found: &[String]) -> Option<String> {
    match (&case.differs, found.is_empty()) {
        (None, true) | (Some(_), false) => None,
        (None, false) => Some(format!("{}\n{}", case.name, shown(found))),
        (Some(row), true) => Some(format!(
            "{}\n    no longer differs: remove `@differs {row}`, and the row of differences.txt if no case needs it\n",
            case.name
        )),
    }
}

/// Builds all cases, and returns a text for each that is at fault.
pub(crate) fn compare(cases: &[Case]) -> Vec<String> {
    let lab = Lab::start();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let mut shell = Shell::start(&lab.pod.name());
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { break };
                    let fault = lab.compare(&mut shell, number, case);
                    eprintln!("{}/{} {}", number + 1, cases.len(), case.name);
                    if let Some(fault) = fault {
                        eprint!("{fault}");
                        keep(case);
                        faults.lock().unwrap().push(fault);
                    }
                }
            });
        }
    });
    faults.into_inner().unwrap()
}

/// Keeps the input of a case that is at fault, if `CONFORMANCE_KEEP` names a directory.
fn keep(case: &Case) {
    let Some(directory) = std::env::var_os("CONFORMANCE_KEEP").filter(|path| !path.is_empty())
    else {
        return;
    };
    let name = format!("{}.txt", case.name.replace('/', "-"));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(PathBuf::from(directory).join(name), case.text()).unwrap();
}

#[test]
fn a_case_that_no_longer_differs_is_at_fault() {
    let mut case = Case::new("x", "FROM scratch\n");
    let found = ["y".to_owned()];
    assert_eq!(fault(&case, &[]), None);
    assert_eq!(fault(&case, &found).unwrap(), "x\n    y\n");
    case.differs = Some("row".to_owned());
    assert_eq!(fault(&case, &found), None);
    assert!(
        fault(&case, &[])
            .unwrap()
            .contains("no longer differs: remove `@differs row`")
    );
}
