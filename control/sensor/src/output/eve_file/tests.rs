use std::convert::Infallible;
use std::fs;

use proptest::prelude::*;

use super::*;

fn push(file: &mut EveFile, line: &str) -> bool {
    let write = |out: &mut Vec<u8>| {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
        Ok::<_, Infallible>(())
    };
    match file.push(write) {
        Ok(pushed) => pushed,
        Err(never) => match never {},
    }
}

fn path() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("eve.json");
    (dir, path)
}

#[test]
fn a_torn_last_line_is_cut_off_and_the_file_goes_on() {
    let (_dir, path) = path();
    fs::write(&path, "{\"a\":1}\n{\"b\":2").expect("written");
    let mut file = EveFile::open(&path, Existing::Append).expect("opened");
    assert_eq!(file.mended(), 6);
    push(&mut file, "{\"c\":3}");
    assert_eq!(file.flush().0, 1);
    assert_eq!(fs::read_to_string(&path).expect("read"), "{\"a\":1}\n{\"c\":3}\n");
}

#[test]
fn a_whole_line_without_its_end_is_kept() {
    let (_dir, path) = path();
    fs::write(&path, "{\"a\":1}\n{\"b\":2}").expect("written");
    let file = EveFile::open(&path, Existing::Append).expect("opened");
    assert_eq!(file.mended(), 0);
    assert_eq!(fs::read_to_string(&path).expect("read"), "{\"a\":1}\n{\"b\":2}\n");
}

#[test]
fn a_torn_line_longer_than_any_buffer_is_cut_off() {
    let (_dir, path) = path();
    let torn = format!("{{\"a\":1}}\n{{\"b\":\"{}", "x".repeat(1 << 20));
    fs::write(&path, &torn).expect("written");
    let file = EveFile::open(&path, Existing::Append).expect("opened");
    assert_eq!(file.mended() as usize, torn.len() - 8);
    assert_eq!(fs::read_to_string(&path).expect("read"), "{\"a\":1}\n");
}

#[test]
fn a_file_that_is_no_eve_json_is_left_alone() {
    let (_dir, path) = path();
    fs::write(&path, "my only copy").expect("written");
    let error = EveFile::open(&path, Existing::Append).expect_err("refused");
    assert!(error.to_string().contains("eve.json"), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("read"), "my only copy");
}

#[test]
fn a_replay_begins_anew() {
    let (_dir, path) = path();
    fs::write(&path, "{\"old\":1}\n{\"to").expect("written");
    let mut file = EveFile::open(&path, Existing::Replace).expect("opened");
    push(&mut file, "{}");
    assert_eq!(file.flush().0, 1);
    assert_eq!((fs::read_to_string(&path).expect("read").as_str(), file.mended()), ("{}\n", 0));
}

#[test]
fn a_full_disk_keeps_lines_until_there_is_no_more_room_for_them() {
    let mut file = EveFile::open(Path::new("/dev/full"), Existing::Replace).expect("opened");
    let line = "x".repeat(1 << 20);
    let mut kept = 0;
    while push(&mut file, &line) {
        kept += 1;
        let (written, error) = file.flush();
        assert_eq!(written, 0);
        assert_eq!(error.map(|it| it.kind()), Some(io::ErrorKind::StorageFull));
    }
    assert_eq!(kept, 4);
    assert_eq!(file.give_up(), 4);
    assert_eq!((file.waiting(), file.waiting_bytes()), (0, 0));
}

#[test]
fn a_line_that_could_not_be_finished_is_taken_back() {
    let (_dir, path) = path();
    let mut file = EveFile::open(&path, Existing::Append).expect("opened");
    push(&mut file, "{\"a\":1}");
    push(&mut file, "{\"b\":2}");
    // As if the disk had taken the first line and a part of the second.
    let first: Vec<u8> = file.waiting.drain(..11).collect();
    file.file.write_all(&first).expect("written");
    assert_eq!(file.account(11), 1);
    assert_eq!(file.give_up(), 1);
    assert_eq!(fs::read_to_string(&path).expect("read"), "{\"a\":1}\n");
}

#[test]
fn a_line_begun_is_finished_when_there_is_room_again() {
    let (_dir, path) = path();
    let mut file = EveFile::open(&path, Existing::Append).expect("opened");
    push(&mut file, "{\"a\":1}");
    let part: Vec<u8> = file.waiting.drain(..3).collect();
    file.file.write_all(&part).expect("written");
    assert_eq!(file.account(3), 0);
    push(&mut file, "{\"b\":2}");
    let (lines, error) = file.flush();
    assert_eq!((lines, error.is_none()), (2, true));
    assert_eq!(fs::read_to_string(&path).expect("read"), "{\"a\":1}\n{\"b\":2}\n");
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let (dir, path) = path();
    let mut file = EveFile::open(&path, Existing::Append).expect("opened");
    push(&mut file, "{\"a\":1}");
    file.flush();
    assert!(!file.follow().expect("followed"));
    let rotated = dir.path().join("eve.json.1");
    fs::rename(&path, &rotated).expect("rotated");
    assert!(file.follow().expect("followed"));
    push(&mut file, "{\"b\":2}");
    file.flush();
    assert_eq!(fs::read_to_string(&rotated).expect("read"), "{\"a\":1}\n");
    assert_eq!(fs::read_to_string(&path).expect("read"), "{\"b\":2}\n");
}

#[test]
fn a_line_that_fails_leaves_nothing_behind() {
    let (_dir, path) = path();
    let mut file = EveFile::open(&path, Existing::Append).expect("opened");
    let failed = file.push(|out| {
        out.extend_from_slice(b"{\"half");
        Err("no")
    });
    assert_eq!(failed, Err("no"));
    assert_eq!((file.waiting(), file.waiting_bytes()), (0, 0));
}

proptest! {
    /// Wherever a crash tears the file, what is left are its whole lines.
    #[test]
    fn any_tear_is_mended(lines in proptest::collection::vec("[a-z]{0,40}", 1..20), cut in 0usize..600) {
        let (_dir, path) = path();
        let whole: String = lines.iter().map(|line| format!("{{\"m\":\"{line}\"}}\n")).collect();
        let cut = cut.min(whole.len());
        let torn = whole.get(..cut).expect("ASCII");
        fs::write(&path, torn).expect("written");
        EveFile::open(&path, Existing::Append).expect("opened");
        let mended = fs::read_to_string(&path).expect("read");
        // A line whose end alone is missing is whole.
        let is_whole = |line: &str| line.ends_with('}');
        let expected: String = torn
            .lines()
            .filter(|line| is_whole(line))
            .map(|line| format!("{line}\n"))
            .collect();
        prop_assert_eq!(mended, expected);
    }
}

#[test]
fn a_line_that_is_no_alert_is_written_in_its_turn_and_not_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("eve.json");
    let mut file = EveFile::open(&path, Existing::Append).expect("opened");
    let alert = |out: &mut Vec<u8>| -> Result<(), std::convert::Infallible> {
        out.extend_from_slice(b"{\"alert\":1}\n");
        Ok(())
    };
    assert_eq!(file.push(alert), Ok(true));
    assert!(file.push_aside(b"{\"stats\":1}\n"));
    assert_eq!(file.push(alert), Ok(true));
    assert_eq!(file.waiting(), 2);
    let (lines, failure) = file.flush();
    assert!(lines == 2 && failure.is_none());
    let text = std::fs::read_to_string(&path).expect("read");
    assert_eq!(text, "{\"alert\":1}\n{\"stats\":1}\n{\"alert\":1}\n");
    assert!(file.push_aside(b"{}\n"));
    assert_eq!((file.waiting(), file.give_up()), (0, 0));
}
