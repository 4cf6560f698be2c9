#![cfg(unix)]

use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_file_behind_a_link_is_replaced_and_the_link_stays() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    fs::write(dir.path().join("real/c.json"), b"old").unwrap();
    let link = dir.path().join("openclaw.json");
    symlink("real/c.json", &link).unwrap();
    stage(&link, b"new").unwrap().commit(Some(b"old")).unwrap();
    assert!(link.is_symlink());
    let real = dir.path().join("real/c.json");
    assert_eq!(fs::read(&real).unwrap(), b"new");
    assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(&dir.path().join("real")), ["c.json"]);
}

#[test]
fn a_file_that_changed_meanwhile_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("openclaw.json");
    fs::write(&path, b"old").unwrap();
    let staged = stage(&path, b"new").unwrap();
    fs::write(&path, b"other").unwrap();
    assert!(matches!(staged.commit(Some(b"old")), Err(WriteError::Changed)));
    assert_eq!(fs::read(&path).unwrap(), b"other");
    assert_eq!(names(dir.path()), ["openclaw.json"]);
}

#[test]
fn a_config_map_is_refused_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("..v1")).unwrap();
    fs::write(dir.path().join("..v1/openclaw.json"), b"old").unwrap();
    symlink("..v1", dir.path().join("..data")).unwrap();
    let path = dir.path().join("openclaw.json");
    symlink("..data/openclaw.json", &path).unwrap();
    let error = stage(&path, b"new").unwrap_err();
    assert!(matches!(&error, WriteError::Mounted(named) if *named == path));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(&dir.path().join("..v1")), ["openclaw.json"]);
}

#[test]
fn what_is_marked_read_only_is_refused_even_for_the_superuser() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("openclaw.json");
    fs::write(&path, b"old").unwrap();
    let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(&path, 0o444);
    let error = stage(&path, b"new").unwrap_err().to_string();
    assert!(error.contains("the file has no write permission"), "{error}");
    set(&path, 0o600);
    set(dir.path(), 0o555);
    let error = stage(&path, b"new").unwrap_err().to_string();
    set(dir.path(), 0o755);
    assert!(error.contains(&path.display().to_string()), "{error}");
    assert!(error.contains("has no write permission"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn a_link_into_nowhere_is_refused_and_a_missing_file_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link.json");
    symlink("none.json", &link).unwrap();
    assert!(matches!(stage(&link, b"x"), Err(WriteError::Dangling(_))));
    let fresh = dir.path().join("sub/openclaw.json");
    stage(&fresh, b"x").unwrap().commit(None).unwrap();
    assert_eq!(fs::read(&fresh).unwrap(), b"x");
}

#[test]
fn only_the_newest_backups_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    for at in 1..=7 {
        back_up(dir.path(), b"c", at).unwrap();
    }
    let kept = names(&dir.path().join("config-backups"));
    assert_eq!(kept.len(), BACKUPS);
    assert_eq!(kept[0], "openclaw.json.0000000000003");
}
