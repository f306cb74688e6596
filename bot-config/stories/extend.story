# More time for an access that is live: it goes on meanwhile, and is asked like any other.
@requester: /access prod-db 30m a migration                      => $base
@approver: /access approve $base
after 20m
@requester: /access extend $base 2h it takes longer
expect refusal: live for longer than the 2h
@requester: /access extend $base 30m it takes longer             => $more
expect card $more in #approvals: 30m more, 0 of 1
expect grant $base live until 09:30
@requester: /access approve $more
expect refusal: own_request
@approver presses Approve on $more
expect grant $more extended
expect grant $base live until 10:00
expect notice to @requester: lasts longer
@requester presses Extend… on $base: 15m nearly there            => $last
@approver: /access deny $last that's enough
expect grant $base live until 10:00
after 40m
expect grant $base ended expired
@requester: /access extend $base 15m too late
expect refusal: wrong_phase
