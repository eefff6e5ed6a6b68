//! A Vulkan driver for the tests on wgpu, on machines with and without a graphics card.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// The Debian packages with Mesa's drivers, the software one (lavapipe) among them, and the loader.
pub(crate) const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// Where the loader looks for the manifests of drivers.
const MANIFESTS: [&str; 3] =
    ["/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d", "/usr/share/vulkan/icd.d"];

/// What the environment of a process has to be for it to find its driver.
pub(crate) struct Driver {
    /// The manifest of the software driver, when there is nothing better and nobody has chosen.
    manifest: Option<PathBuf>,
    /// A private folder, which the software driver wants and a bare session lacks.
    runtime_dir: Option<TempDir>,
}

impl Driver {
    /// Makes `command` find the driver.
    pub(crate) fn select<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        if let Some(manifest) = &self.manifest {
            command.env("VK_ICD_FILENAMES", manifest);
        }
        if let Some(folder) = &self.runtime_dir {
            command.env("XDG_RUNTIME_DIR", folder.path());
        }
        command
    }
}

/// The driver of the graphics card, or else the software one.
///
/// # Errors
/// When there is neither; the message says what to install.
pub(crate) fn driver() -> Result<Driver> {
    let chosen = env::var_os("VK_ICD_FILENAMES").or(env::var_os("VK_DRIVER_FILES")).is_some();
    let manifest = if !cfg!(target_os = "linux") || chosen || has_card(Path::new("/dev")) {
        None
    } else {
        let found = software_manifest();
        ensure!(
            found.is_some(),
            "no graphics card and no software driver for Vulkan; on Debian or Ubuntu: apt-get install {}",
            PACKAGES.join(" "),
        );
        found
    };
    let runtime_dir = match env::var_os("XDG_RUNTIME_DIR") {
        Some(_) => None,
        None => Some(tempfile::tempdir().context("can't make a private folder for XDG_RUNTIME_DIR")?),
    };
    Ok(Driver { manifest, runtime_dir })
}

/// The manifest of Mesa's lavapipe, in the loader's folders.
pub(crate) fn software_manifest() -> Option<PathBuf> {
    MANIFESTS.iter().find_map(|folder| lavapipe(Path::new(folder)))
}

/// `lvp_icd.json`, or with the processor in its name as some distributions have it.
fn lavapipe(folder: &Path) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    found.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("lvp_icd") && name.ends_with(".json")
    });
    found.sort();
    found.into_iter().next()
}

/// Whether the system has a device file of a graphics card.
fn has_card(dev: &Path) -> bool {
    let in_folder = |folder: &Path, prefix: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with(prefix))
    };
    in_folder(&dev.join("dri"), "renderD") || in_folder(dev, "nvidia0")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{has_card, lavapipe};

    #[test]
    fn lavapipe_is_found_among_other_drivers() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(lavapipe(folder.path()), None);
        for name in ["intel_icd.x86_64.json", "lvp_icd.x86_64.json", "lvp_icd.x86_64.json.orig"] {
            fs::write(folder.path().join(name), "{}").expect("a file");
        }
        assert_eq!(lavapipe(folder.path()), Some(folder.path().join("lvp_icd.x86_64.json")));
        assert_eq!(lavapipe(&folder.path().join("absent")), None);
    }

    #[test]
    fn a_card_shows_as_a_device_file() {
        let dev = tempfile::tempdir().expect("a folder");
        assert!(!has_card(dev.path()));
        fs::create_dir(dev.path().join("dri")).expect("a folder");
        fs::write(dev.path().join("dri/card0"), "").expect("a file");
        assert!(!has_card(dev.path()));
        fs::write(dev.path().join("dri/renderD128"), "").expect("a file");
        assert!(has_card(dev.path()));
    }
}
