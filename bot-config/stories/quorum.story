# Two different people, in whatever chat; a second click of the same person is none, and neither is another account.
@requester on slack: /access prod-api 20m reading a customer's settings   => $api
expect answer: needs 2 approvals
expect card $api in #approvals: prod-api for 20m, 0 of 2
@approver on slack presses Approve on $api
expect card $api in #approvals: 1 of 2
@approver on discord presses Approve on $api
expect refusal: decided_already
@approver: /access approve $api
expect refusal: you have already approved $api
expect grant $api pending
@second: /access approve $api fine by me
expect answer: It is being opened
expect grant $api live until 09:20
expect card $api on slack: "approved by @second: fine by me", Live until
expect card $api on discord: "approved by @second: fine by me"
expect notice to @requester on slack: is live
expect notice to @requester on discord: is live
expect verify
