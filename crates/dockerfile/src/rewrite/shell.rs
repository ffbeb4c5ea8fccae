//! SHELL, and the instructions whose command it runs later.

use super::super::error::Problem;
use super::super::lexer::Instruction;
use super::Rewriter;
use super::posix;

impl Rewriter<'_> {
    /// Notes the shell of the current stage.
    pub(super) fn shell(&mut self, instruction: &Instruction) {
        let shell = posix::shell(instruction);
        if let Some(stage) = self.stages.last_mut() {
            stage.posix = posix::is_posix(shell.as_deref().unwrap_or_default());
            stage.shell = shell.filter(|shell| !shell.is_empty());
        }
    }

    /// Writes the shell form of CMD or ENTRYPOINT as the array that Docker makes of it: Buildah takes `/bin/sh -c` after any
    /// SHELL. Source: openshift/imagebuilder, `dispatchers.go`, and moby/buildkit, `dockerfile2llb/convert.go`.
    pub(super) fn later_command(&mut self, instruction: &Instruction) -> Result<(), Problem> {
        let rest = &instruction.rest;
        let more = instruction.is_array_with_more();
        let default = || ["/bin/sh", "-c"].map(str::to_owned).to_vec();
        let shell = self.stages.last().and_then(|stage| stage.shell.clone());
        let shell = shell.or_else(|| more.then(default));
        let is_command = !rest.is_empty() && (more || !instruction.is_json());
        let Some(shell) = shell.filter(|_| is_command) else {
            return Ok(());
        };
        let words = shell.into_iter().chain([rest.clone()]);
        let array = serde_json::Value::from_iter(words).to_string();
        self.scope().change(array.len())?;
        self.edits.push((instruction.span(0..rest.len()), array));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::lines;

    #[test]
    fn commands_have_the_shell_of_their_stage() {
        let shell = "SHELL [\"/bin/ash\",\"-ec\"]\n";
        let text = format!(
            "{shell}CMD a \\\n  \"b\" \\\\ $C\nENTRYPOINT [\"unbalanced\"\nCMD [\"x\"]\nENTRYPOINT\n"
        );
        assert_eq!(
            lines(&text),
            format!(
                "{shell}CMD [\"/bin/ash\",\"-ec\",\"a   \\\"b\\\" \\\\\\\\ $C\"]\n\
                 ENTRYPOINT [\"/bin/ash\",\"-ec\",\"[\\\"unbalanced\\\"\"]\nCMD [\"x\"]\nENTRYPOINT\n"
            )
        );
        let of_a_stage = format!("{shell}FROM a.example/base AS two\nCMD a\n");
        assert_eq!(
            lines(&of_a_stage),
            of_a_stage,
            "another stage has another shell"
        );
        let after = format!("FROM a.example/base AS two\n{shell}FROM two\nCMD a\n");
        assert!(lines(&after).ends_with("CMD [\"/bin/ash\",\"-ec\",\"a\"]\n"));
        assert_eq!(lines("SHELL [] \nCMD a\n"), "SHELL [] \nCMD a\n");
        // Text after an array makes it a command.
        assert_eq!(
            lines("CMD [\"a\"] || b\nENTRYPOINT [ \"a\" ] \n"),
            "CMD [\"/bin/sh\",\"-c\",\"[\\\"a\\\"] || b\"]\nENTRYPOINT [ \"a\" ] \n"
        );
    }
}
