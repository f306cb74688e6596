# The service is stopped and started in the middle of everything: the ledger is all it knows, and all it needs.
@requester: /access prod-api 30m fixing INC-42                   => $api
@approver: /access approve $api
restart
expect card $api in #approvals: 1 of 2
@approver: /access approve $api
expect refusal: decided_already
@second: /access approve $api
expect grant $api live until 09:30
@second repeats
expect answer: done already, and was not done again
restart
expect entry service.started
expect grant $api live
after 30m
expect grant $api ended expired
expect verify
