//! The power goes: an ext4 on a loop device is shut down under load without a flush of its log, and mounted again. Needs
//! root, and a kernel with loop devices; whoever runs the tests without says so with `COUNTERSIGN_NO_POWER_CUTS=1`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command as Program, Stdio},
};

use super::{
    crash::{CHILD_DIR, Seen, heads, number, spawn},
    *,
};

/// How often the power goes, unless `COUNTERSIGN_POWER_CUTS` says otherwise.
const CUTS: usize = 20;

/// How large the disk is.
const DISK_BYTES: u64 = 192 << 20;

/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: what is not on the disk by now is gone.
const CUT: &str = "import fcntl, os, struct, sys\n\
                   fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, struct.pack('I', 2))";

fn run(program: &str, arguments: &[&Path]) {
    let done = Program::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A small disk of its own, mounted while it lives.
struct Disk {
    dir: tempfile::TempDir,
    mounted: bool,
}

impl Disk {
    fn new(bytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(bytes).unwrap();
        run("mkfs.ext4", &[Path::new("-q"), &image]);
        std::fs::create_dir(dir.path().join("at")).unwrap();
        let mut disk = Self { dir, mounted: false };
        disk.mount();
        disk
    }

    fn at(&self) -> PathBuf {
        self.dir.path().join("at")
    }

    fn mount(&mut self) {
        run("mount", &[Path::new("-o"), Path::new("loop"), &self.dir.path().join("image"), &self.at()]);
        self.mounted = true;
        // Who made a mount namespace meanwhile holds the file system that was shut down, and it is mounted again as it is.
        let probe = self.at().join("probe");
        let works = std::fs::write(&probe, "1").and_then(|()| std::fs::remove_file(&probe));
        works.expect("the disk did not come back: another mount namespace holds it");
    }

    fn unmount(&mut self) {
        if std::mem::take(&mut self.mounted) {
            run("umount", &[&self.at()]);
        }
    }

    /// Lets it write until so many answers were read, cuts the power, and brings the disk back. Gives the heads that could be
    /// read beside the journal in `data` right before.
    fn cut(
        &mut self,
        mut child: Child,
        after: usize,
        data: &Path,
        mut answer: impl FnMut(&str) -> bool,
    ) -> Vec<String> {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while seen < after {
            seen += usize::from(answer(&lines.next().unwrap().unwrap()));
        }
        let heads = heads(data);
        run("python3", &[Path::new("-c"), Path::new(CUT), &self.at()]);
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            answer(&line);
        }
        child.wait().unwrap();
        self.unmount();
        self.mount();
        heads
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn may_cut() -> bool {
    if std::env::var_os("COUNTERSIGN_NO_POWER_CUTS").is_some() {
        println!("NOT RUN: COUNTERSIGN_NO_POWER_CUTS is set");
        return false;
    }
    true
}

#[test]
fn the_power_goes_and_nothing_acknowledged_is_lost() {
    if !may_cut() {
        return;
    }
    let cuts = number("COUNTERSIGN_POWER_CUTS", CUTS);
    let (mut disk, mut seen, mut total, mut beside) = (Disk::new(DISK_BYTES), Seen::default(), 0, 0);
    for round in 0..cuts {
        if round % 10 == 0 {
            disk = Disk::new(DISK_BYTES);
            seen = Seen::default();
        }
        let data = disk.at().join("log");
        let before = seen.leaves.len();
        let child = spawn(Program::new(std::env::current_exe().unwrap()), &data, [1, 8, 64][round % 3], usize::MAX);
        let shown = disk.cut(child, 20 + 37 * (round % 11), &data, |line| seen.take(line));
        assert!(shown.iter().all(|head| seen.take_head(head)), "round {round}: {shown:?}");
        // An older one may lie there again, but a whole one.
        let left = heads(&data);
        assert!(left.iter().all(|head| seen.take_head(head)), "round {round}: {left:?}");
        total += seen.leaves.len() - before;
        beside += shown.len();
        seen.check(&data);
        let report = report(&data);
        assert!(report.holds(), "round {round}: {report}");
    }
    println!(
        "{cuts} power cuts, {total} acknowledged entries, none lost; {beside} heads beside the journal, none smaller or different"
    );
}

/// Not a test of its own: what the control does. It writes to sled alone and flushes, as sled's manual has it.
#[test]
fn child_of_sled() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let db = sled::open(dir).unwrap();
    for n in db.len() as u64.. {
        db.insert(n.to_be_bytes(), vec![7; 600]).unwrap();
        db.flush().unwrap();
        std::io::stdout().lock().write_all(format!("ack {n}\n").as_bytes()).unwrap();
    }
}

#[test]
fn the_power_goes_and_sled_alone_loses() {
    if !may_cut() {
        return;
    }
    let cuts = number("COUNTERSIGN_POWER_CUTS", CUTS).min(20);
    let mut lost = 0;
    for round in 0..cuts {
        let mut disk = Disk::new(DISK_BYTES);
        let data = disk.at().join("sled");
        let mut program = Program::new(std::env::current_exe().unwrap());
        program.args(["--exact", "ledger::tests::power::child_of_sled", "--nocapture"]).env(CHILD_DIR, &data);
        let child = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut newest = 0;
        disk.cut(child, 20 + 37 * (round % 11), &data, |line| match line.rsplit_once("ack ").map(|(_, n)| n.parse()) {
            Some(Ok(n)) => {
                newest = n;
                true
            }
            Some(Err(_)) | None => false,
        });
        let held = std::panic::catch_unwind(|| sled::open(&data).is_ok_and(|db| db.len() > newest)).unwrap_or(false);
        lost += usize::from(!held);
    }
    println!("{lost} of {cuts} power cuts cost sled alone acknowledged records");
    assert!(lost * 2 > cuts, "the control does not lose: the power cut is none");
}

/// Fills a disk up to so many bytes.
fn fill(disk: &Disk, but: u64) {
    let file = std::fs::File::create(disk.at().join("junk")).unwrap();
    let (mut length, mut step) = (0, 16 << 20);
    while step >= 4096 {
        match blocks::allocate(&file, length + step) {
            Ok(()) => length += step,
            Err(_) => step /= 2,
        }
    }
    file.set_len(length - but).unwrap();
    file.sync_all().unwrap();
}

/// The reserve is as large as a segment, as it is in the service; or it is larger.
#[tokio::test]
async fn on_a_full_disk_the_reserve_still_records() {
    if !may_cut() {
        return;
    }
    for others in [24 << 20, 4 << 20] {
        recorded_by_the_reserve(Sizes { first: 256 * 1024, others }).await;
    }
}

async fn recorded_by_the_reserve(segments: Sizes) {
    let disk = Disk::new(128 << 20);
    let data = disk.at().join("log");
    let open = || {
        let mut small = options(1);
        (small.segments, small.reserve_bytes) = (segments, 24 << 20);
        Ledger::open(&data, small)
    };
    let mut ledger = Some(open().unwrap());
    assert!(data.join("reserve").exists());
    fill(&disk, 0);
    assert!(!ledger.as_ref().unwrap().is_scarce(), "the reserve is still there");
    let (mut acknowledged, mut reopened, mut words) = (Vec::new(), 0, String::new());
    let mut at_once = None;
    let mut large = draft(1);
    large.body.insert("pad".into(), json!("x".repeat(60_000)));
    while let Some(open_one) = &ledger {
        assert!(acknowledged.len() < 2_000, "the disk does not fill");
        match open_one.append_next(start(), vec![large.clone()]).await {
            Ok(done) => acknowledged.push((done.first, done.leaves[0])),
            Err(error) => {
                words = error.to_string();
                at_once.get_or_insert(acknowledged.len());
                drop(ledger.take());
                reopened += 1;
                ledger = match (reopened < 5).then(open) {
                    Some(Ok(again)) => {
                        assert!(again.is_scarce());
                        Some(again)
                    }
                    Some(Err(error)) => {
                        words = format!("{words}; {error}");
                        None
                    }
                    None => None,
                };
            }
        }
    }
    assert!(!data.join("reserve").exists());
    assert!(at_once.unwrap() > 100, "nothing of the reserve was recorded on after {at_once:?} entries: {words}");
    assert!(acknowledged.len() > 40, "{} entries, {reopened} times opened again; {words}", acknowledged.len());
    println!("{} entries of 60 kB on a full disk, {reopened} times opened again; then: {words}", acknowledged.len());
    std::fs::remove_file(disk.at().join("junk")).unwrap();
    let ledger = open().unwrap();
    for (index, leaf) in acknowledged {
        assert_eq!(ledger.reader().get(index).unwrap().leaf, leaf);
    }
    assert!(data.join("reserve").exists() && !ledger.is_scarce(), "it comes back when there is room");
    drop(ledger);
    let report = report(&data);
    assert!(report.holds(), "{report}");
}
