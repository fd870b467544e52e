//! `--out` where nothing can be recorded: told before anything is started.

use crate::disk::Disk;
use crate::tool::Site;

/// An embedded stack needs nothing, so that only the folder can be what is wrong.
const REPORT: [&str; 6] = ["report", "cache", "--profile", "smoke", "--stack", "embedded"];

#[test]
fn a_file_is_no_folder() {
    let site = Site::new();
    let file = site.write("notes.txt", "mine");
    for out in [file.clone(), format!("{file}/below")] {
        let said = site.run(&[&REPORT[..], &["--out", &out]].concat());
        said.fails(2, &[&format!("--out {out}: {file} is a file; name a folder")]);
        assert!(!said.stderr.contains("starting"), "it was tried first: {said:?}");
    }
    assert_eq!(site.names(), ["notes.txt"]);
    assert_eq!(std::fs::read(file).unwrap(), b"mine");
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let site = Site::new();
    let disk = Disk {
        size_kib: 1_024,
        is_read_only: true,
        ..Disk::default()
    };
    for below in ["", "reports/of/today"] {
        let out = Disk::path(&site).join(below).display().to_string();
        let Some(used) = disk.run(&site, None, &[], &[&REPORT[..], &["--out", &out]].concat()) else {
            return;
        };
        used.said.fails(
            2,
            &[
                &format!("--out {out}: nothing can be written in "),
                "name a folder",
                "ead-only",
            ],
        );
    }
}

#[test]
fn a_folder_without_space_is_named() {
    let site = Site::new();
    let disk = Disk {
        size_kib: 256,
        is_full: true,
        ..Disk::default()
    };
    let out = Disk::path(&site).join("reports").display().to_string();
    let Some(used) = disk.run(&site, None, &[], &[&REPORT[..], &["--out", &out]].concat()) else {
        return;
    };
    used.said
        .fails(2, &[&format!("--out {out}: no space left in "), "free some"]);
    assert!(
        !used.said.stderr.contains("starting"),
        "it was tried first: {:?}",
        used.said
    );
    let left: Vec<_> = std::fs::read_dir(used.after)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["filler"]);
}
