//! The forced command: it ends a session at the grant's end, however late the session began.
//!
//! A certificate's own end is looked at when somebody logs in and never again. sshd runs the forced command for every
//! shell and command, also for those opened later in a connection that is already there, so the seconds that remain
//! are counted from the target's clock at that moment, never from the length of the grant.
//!
//! The text is run by the login shell of the account, whichever that is: hence one single-quoted word without `'` and
//! `!`, handed to `/bin/sh`. `timeout` becomes the leader of the session: it sends `HUP` to the command and its process
//! group a second before the end and `KILL` at the end; a terminal hangs up when its leader goes. `timeout 0` would be
//! no limit at all, so the last second has a line of its own. Without `timeout` or `date` nothing runs.

/// The command that lets a session run until `end`, in seconds since 1970.
pub(super) fn until(end: i64) -> String {
    // A forced command keeps sshd from serving files itself: the program of the same package does it.
    const FILES: &str = r#"cmd=$SSH_ORIGINAL_COMMAND; case $cmd in internal-sftp*) for f in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/libexec/sftp-server /usr/lib/ssh/sftp-server; do if [ -x "$f" ]; then cmd="$f${cmd#internal-sftp}"; break; fi; done;; esac"#;
    const RUN: &str =
        r#"if [ -n "$cmd" ]; then set -- "${SHELL:-/bin/sh}" -c "$cmd"; else set -- "${SHELL:-/bin/sh}" -l; fi"#;
    const LIMIT: &str = r#"if [ "$left" -gt 1 ]; then exec timeout -s HUP -k 1 "$((left-1))" "$@"; else exec timeout -s KILL 1 "$@"; fi"#;
    const OVER: &str = r#"if [ "$left" -lt 1 ]; then echo "countersign: this access has ended" >&2; exit 1; fi"#;
    // `date` cuts off the fraction of the present second: one is taken away for it.
    format!("exec /bin/sh -c 'left=$(({end}-1-$(date +%s))) || exit 1; {OVER}; {FILES}; {RUN}; {LIMIT}'")
}
