# Nobody countersigns themselves, from whatever account.
@approver on slack: /access prod-db 30m fixing INC-43            => $own
@approver on slack presses Approve on $own
expect refusal: can't approve their own request
@approver on discord: /access approve $own
expect refusal: own_request
@approver: /access approve $own
expect refusal: own_request
@requester: /access approve $own
expect refusal: you are no approver of `prod-db`
expect grant $own pending
expect card $own in #approvals: 0 of 1
# And nobody gets more than there is, or what is not theirs to ask for.
@requester: /access prod-db 3h a long migration
expect refusal: given for 2h at most
expect no card in #approvals: a long migration
@guard: /access prod-host 30m looking around
expect refusal: you may not ask for `prod-host`
