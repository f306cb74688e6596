# Nobody decides: prod-host waits an hour, the others the eight hours of countersign.toml.
at 2026-11-20 18:30 Europe/Berlin
@requester: /access prod-host 1h the nightly job hangs           => $host
@requester: /access prod-db 1h the nightly job hangs             => $db
after 59m
expect grant $host pending
after 1m
expect grant $host lapsed
expect notice to @requester: lapsed
expect grant $db pending
at 02:30
expect grant $db lapsed
@approver: /access approve $db
expect refusal: lapsed without a decision
# Withdrawn, it can't be approved either.
@requester: /access prod-db 1h once more                         => $again
@approver: /access cancel $again
expect refusal: not_yours
@requester presses Withdraw on $again
expect grant $again cancelled
@approver: /access approve $again
expect refusal: was withdrawn
