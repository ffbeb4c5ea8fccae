//! The flavor `circleci`.
use super::FlavorError;
use super::environment::Environment;
use super::runner::{Next, Runner, Verdict};
use crate::config::Config;
use crate::init::guide::Guide;
use crate::init::spawn::Start;
use crate::init::supervise::Watched;
use crate::secrets::Store;
pub(super) struct Circleci {}
impl Circleci {
    pub(super) fn prepare(
        _config: &Config,
        _environment: Environment,
        _secrets: Store,
    ) -> Result<Self, FlavorError> {
        Ok(Self {})
    }
}
impl Guide for Circleci {}
impl Runner for Circleci {
    fn start(&mut self) -> Result<Start, FlavorError> {
        Err(FlavorError::Setting {
            flavor: "circleci",
            problem: String::new(),
        })
    }
    fn ended(&mut self, watched: &Watched) -> Next {
        Next::Over(Verdict::of_code(watched.ended.code()))
    }
}
