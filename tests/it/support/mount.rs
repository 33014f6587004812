//! A volume as the kubelet keeps it: files behind one link, which is replaced as a whole.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The folder of a mounted ConfigMap.
#[derive(Debug)]
pub(crate) struct Mount {
    folder: PathBuf,
    stamp: u32,
    current: Option<PathBuf>,
}

impl Mount {
    /// A volume that holds these files, by path; a folder in it is one link.
    pub(crate) fn new<P: AsRef<Path>, T: AsRef<[u8]>>(folder: PathBuf, files: &[(P, T)]) -> Self {
        fs::create_dir_all(&folder).expect("a folder");
        let mut mount = Self { folder, stamp: 0, current: None };
        mount.swap(files);
        mount
    }

    /// Replaces all files at once: writes them beside, moves the link, mends the names, removes the old.
    pub(crate) fn swap<P: AsRef<Path>, T: AsRef<[u8]>>(&mut self, files: &[(P, T)]) {
        self.stamp += 1;
        let name = format!("..2026_11_23_{:06}", self.stamp);
        let next = self.folder.join(&name);
        for (path, content) in files {
            let path = next.join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, content).expect("written");
        }
        let moving = self.folder.join("..data_tmp");
        symlink(&name, &moving).expect("a link");
        fs::rename(moving, self.folder.join("..data")).expect("moved");
        self.mend_names(files);
        if let Some(old) = self.current.replace(next) {
            fs::remove_dir_all(old).expect("removed");
        }
    }

    fn mend_names<P: AsRef<Path>, T>(&self, files: &[(P, T)]) {
        let first = |path: &Path| path.iter().next().expect("a name").to_string_lossy().into_owned();
        let names: BTreeSet<_> = files.iter().map(|(path, _)| first(path.as_ref())).collect();
        for name in &names {
            let link = self.folder.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link).expect("a link");
            }
        }
        for entry in fs::read_dir(&self.folder).expect("a folder") {
            let entry = entry.expect("a name");
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_link = entry.file_type().expect("a type").is_symlink();
            if is_link && !name.starts_with("..") && !names.contains(&name) {
                fs::remove_file(self.folder.join(name)).expect("removed");
            }
        }
    }
}
