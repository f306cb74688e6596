# An access ends before its time: given back by its holder, or ended by whoever may.
@requester: /access prod-host 1h looking at the load             => $one
@second: /access approve $one
expect grant $one live until 10:00
@requester presses Show credential on $one
expect answer: secret
expect entry credential.taken
@second: /access done $one
expect refusal: not_yours
after 10m
@requester presses Give back on $one
expect grant $one ended returned
expect no notice to @requester

@requester: /access prod-host 1h looking again                   => $two
@approver: /access approve $two
@second: /access revoke $two the incident is over
expect grant $two ended revoked
expect notice to @requester: revoked by @second: the incident is over
# Security may end it too: `revokers` names their group.
@requester: /access prod-host 1h and once more                   => $three
@approver: /access approve $three
@guard presses Revoke on $three: that's enough
expect card $three in #approvals: revoked by @guard
expect grant $three ended revoked
after 2h
expect no entry grant.ended
