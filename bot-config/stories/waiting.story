# Nobody decides: approvers are reminded, then others are asked, then it lapses.
@requester: /access prod-db 1h the nightly job hangs             => $slow
expect no notice to @approver
@second: /access approve $slow
expect refusal: you are no approver
after 29m
expect no notice to @approver
after 1m
expect notice to @approver: waits for your approval
expect no notice to @second
after 30m
expect entry people.called
expect notice to @second: you may approve it too
expect card $slow in #approvals: others may approve it too
# Now it is theirs as well.
@guard presses Deny on $slow: not tonight
expect grant $slow denied

@requester: /access prod-db 1h once more                         => $again
after 1h
@second presses Approve on $again
expect grant $again live
@requester: /access done $again

@requester: /access prod-db 1h and once more                     => $never
after 8h
expect grant $never lapsed
expect notice to @requester: lapsed
