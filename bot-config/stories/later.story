# Asked for tonight: approved now, open then, by the clocks of Berlin.
at 2026-11-20 17:00 Europe/Berlin
@requester: /access prod-db 30m from 02:00 the nightly migration      => $tonight
expect card $tonight in #approvals: Starts: 2026-11-21 01:00:00 UTC
@approver: /access approve $tonight
expect grant $tonight scheduled
at 01:59
expect grant $tonight scheduled
restart
at 02:00
expect grant $tonight live until 02:30
after 30m
expect grant $tonight ended expired

# What was approved for later can be called off by either side.
@requester: /access prod-db 30m from 2026-11-22T02:00 again            => $next
@approver: /access approve $next
@requester presses Withdraw on $next
expect grant $next cancelled
@requester: /access prod-db 30m from 2026-11-22T02:00 and again        => $last
@approver: /access approve $last
@approver: /access revoke $last no migrations on Sundays
expect grant $last denied
after 2d
expect no entry grant.ordered
@requester: /access prod-db 30m from 2026-11-21T02:00 too late
expect refusal: that start is over

# Approved when its start is over, it starts then, for as long as was asked.
@requester: /access prod-db 30m from 2026-11-25T02:00 nobody is awake  => $slow
at 2026-11-25 02:10
expect grant $slow lapsed
at 2026-11-25 20:00
@requester: /access prod-db 30m from 02:00 somebody is awake           => $awake
at 02:10
@approver: /access approve $awake
expect grant $awake live until 02:40
