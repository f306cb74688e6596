//! Certificates for a server on loopback, from authorities of the test's own.

use std::{path::Path, process::Command};

use super::process::run;

/// Makes `ca.crt`, `other.crt` (of an authority that signed nothing), `server.crt` for 127.0.0.1, and their keys.
pub fn make(dir: &Path) {
    let at = |name: &str| dir.join(name).display().to_string();
    let openssl = |arguments: &[&str]| {
        let fixed =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        run(Command::new("openssl").args(fixed).args(arguments));
    };
    for name in ["ca", "other"] {
        let (key, certificate) = (at(&format!("{name}.key")), at(&format!("{name}.crt")));
        openssl(&["-keyout", &key, "-out", &certificate, "-subj", "/CN=test CA"]);
    }
    let signed =
        ["-CA", &at("ca.crt"), "-CAkey", &at("ca.key"), "-keyout", &at("server.key"), "-out", &at("server.crt")];
    let about = ["-subj", "/CN=server", "-addext", "subjectAltName=IP:127.0.0.1"];
    openssl(&[&signed[..], &about, &["-addext", "basicConstraints=critical,CA:FALSE"]].concat());
}
