# A no ends it, with its reason; who said yes may still say no before it is decided.
@requester: /access prod-db 30m trying something                => $one
@approver: /access deny $one
expect refusal: no_reason
@approver: /access deny $one use the replica
expect grant $one denied
expect notice to @requester: was denied
expect notice to @requester: use the replica
@approver: /access approve $one
expect refusal: wrong_phase

@requester: /access prod-api 10m trying something else           => $two
@second: /access approve $two
@second presses Deny on $two: on second thoughts, ask again with a ticket
expect grant $two denied
expect card $two in #approvals: denied by @second
after 1d
expect no entry grant.ordered
