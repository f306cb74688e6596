# Approved for less time than was asked, in words and by a button; the least of all approvals holds.
@requester: /access prod-db 2h INC-7 a migration                 => $long
@approver: /access approve $long for 3h
expect refusal: An approval can only be for less
@approver: /access approve $long for 15m only the one row
expect grant $long live until 09:15
expect card $long in #approvals: "approved by @approver for 15m: only the one row"
after 15m
expect grant $long ended expired

@requester: /access prod-api 1h reading settings                 => $api
@approver on slack presses Approve for less… on $api: 20m
@second: /access approve $api for 30m
expect grant $api live until 09:35
after 20m
expect grant $api ended expired
