# Every Monday at nine, by the clocks of Berlin, everybody reads what happened: once, whatever became of the service.
at 2026-01-09 10:00 Europe/Berlin
@requester: /access prod-db 30m fixing INC-42                    => $fix
@approver: /access approve $fix
@requester: /access prod-host 1h nobody cares                    => $never
at 2026-01-12 08:59
expect nothing in #approvals
after 1m
expect entry digest.made
expect in #approvals on slack: 2 requests: 1 approved
expect in #approvals on discord: 1 lapsed
restart
expect nothing in #approvals
after 6d
expect nothing in #approvals
after 1d
expect in #approvals: 0 requests
# Two Mondays go by while it is away: what is owed is told once, of all that time.
@requester: /access prod-db 30m before the holidays              => $last
@approver: /access approve $last
restart after 15d
expect entry digest.made
expect in #approvals: 1 request
restart
expect no entry digest.made
after 5d
expect no entry digest.made
after 1d
expect entry digest.made
expect verify
