# Whoever approved may take it back while it is undecided, and may approve again.
@requester: /access prod-api 30m reading settings                => $api
@approver: /access approve $api looks right
@approver: /access cancel $api
expect card $api in #approvals: 0 of 2, took their approval back
@second: /access approve $api
expect grant $api pending
@second: /access cancel $api
@approver: /access approve $api
@second: /access approve $api after all
expect grant $api live
@second: /access cancel $api
expect refusal: is live
