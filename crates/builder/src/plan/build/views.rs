//! Plans what a build sees of its contexts: all but the ignored files, in COPY and in the mounts of RUN alike.

use std::path::Path;

use super::{Planner, Rejected, Resources};
use crate::operation::View;
use crate::paths::PathError;
use dockerfile::IgnorePatterns;

impl Planner<'_> {
    /// Returns the view of a context in which nothing is ignored.
    pub(super) fn whole_view(&self) -> View {
        let storage = &self.settings.storage;
        View {
            ignore: None,
            // The storage has proven then that a build may mount one on the builder's volume.
            overlay: storage.driver == "overlay" && !storage.mount_program,
            masks: false,
        }
    }

    /// Returns the view of the build's own context. `path` names the ignore file with this content.
    pub(super) fn view(
        &self,
        path: &Path,
        content: &[u8],
        resources: &mut Resources<'_>,
    ) -> Result<View, Rejected> {
        let leaves_out = IgnorePatterns::check(content);
        let leaves_out = leaves_out.map_err(|source| Rejected::IgnoreFile {
            path: path.to_owned(),
            source,
        })?;
        let mut view = self.whole_view();
        if leaves_out {
            view.ignore = Some(resources.add_named("view", content.to_vec())?);
            view.masks = true;
        }
        Ok(view)
    }

    /// Returns the view of a context of `--build-context`. BuildKit reads the .dockerignore in its root; Buildah reads none.
    pub(super) fn view_of_named(
        &self,
        relative: &Path,
        resources: &mut Resources<'_>,
    ) -> Result<View, Rejected> {
        let whole = self.whole_view();
        let path = relative.join(".dockerignore");
        // Without an overlay, COPY would find empty files instead of the ignored ones.
        if !whole.overlay || !self.docker() || !self.exists(&path) {
            return Ok(whole);
        }
        let content = self.workspace.read(&path);
        let content = content.map_err(|error| PathError::new(&path, error))?;
        let view = self.view(&path, &content, resources)?;
        Ok(View {
            masks: false,
            ..view
        })
    }
}
