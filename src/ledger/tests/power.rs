//! The power goes: an ext4 on a loop device is shut down under load without a flush of its log, and mounted again. Needs
//! root, and a kernel with loop devices; whoever runs the tests without says so with `COUNTERSIGN_NO_POWER_CUTS=1`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, Command as Program, Stdio},
};

use super::{
    crash::{Acknowledged, CHILD_DIR, number, spawn},
    *,
};

/// How often the power goes, unless `COUNTERSIGN_POWER_CUTS` says otherwise.
const CUTS: usize = 20;

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
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("image");
        std::fs::File::create(&image).unwrap().set_len(192 << 20).unwrap();
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
    }

    fn unmount(&mut self) {
        if std::mem::take(&mut self.mounted) {
            run("umount", &[&self.at()]);
        }
    }

    /// Lets it write until so many answers were read, cuts the power, and brings the disk back.
    fn cut(&mut self, mut child: Child, after: usize, mut answer: impl FnMut(&str) -> bool) {
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while seen < after {
            seen += usize::from(answer(&lines.next().unwrap().unwrap()));
        }
        run("python3", &[Path::new("-c"), Path::new(CUT), &self.at()]);
        child.kill().unwrap();
        for line in lines.map_while(Result::ok) {
            answer(&line);
        }
        child.wait().unwrap();
        self.unmount();
        self.mount();
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
    let (mut disk, mut acknowledged, mut total) = (Disk::new(), Acknowledged::default(), 0);
    for round in 0..cuts {
        if round % 10 == 0 {
            disk = Disk::new();
            acknowledged = Acknowledged::default();
        }
        let data = disk.at().join("log");
        let before = acknowledged.leaves.len();
        let child = spawn(Program::new(std::env::current_exe().unwrap()), &data, [1, 8, 64][round % 3], usize::MAX);
        disk.cut(child, 20 + 37 * (round % 11), |line| acknowledged.take(line));
        total += acknowledged.leaves.len() - before;
        acknowledged.check(&data);
        let report = report(&data);
        assert!(report.holds(), "round {round}: {report}");
    }
    println!("{cuts} power cuts, {total} acknowledged entries, none lost");
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
        let mut disk = Disk::new();
        let data = disk.at().join("sled");
        let mut program = Program::new(std::env::current_exe().unwrap());
        program.args(["--exact", "ledger::tests::power::child_of_sled", "--nocapture"]).env(CHILD_DIR, &data);
        let child = program.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut last = 0;
        disk.cut(child, 20 + 37 * (round % 11), |line| match line.rsplit_once("ack ").map(|(_, n)| n.parse()) {
            Some(Ok(n)) => {
                last = n;
                true
            }
            Some(Err(_)) | None => false,
        });
        let held = std::panic::catch_unwind(|| sled::open(&data).is_ok_and(|db| db.len() > last)).unwrap_or(false);
        lost += usize::from(!held);
    }
    println!("{lost} of {cuts} power cuts cost sled alone acknowledged records");
    assert!(lost * 2 > cuts, "the control does not lose: the power cut is none");
}
