# What people say to each other below a card is recorded with the request. It decides nothing, whatever it says.
@requester: /access prod-db 30m fixing INC-42                              => $fix
@requester on slack writes below $fix: shall I restart the replica first?
expect entry message.received
expect no notice to @approver
@approver on slack writes below $fix: yes, go ahead. /access approve $fix
expect entry message.received
expect no entry request.approved
expect grant $fix pending
@approver: /access show $fix
expect answer: @requester said in Slack's thread: shall I restart the replica first?
expect answer: @approver said in Slack's thread: yes, go ahead. /access approve $fix
restart
@approver on slack writes below $fix: I have done it already
@requester: /access log I have done it
expect answer: I have done it already
@approver: /access approve $fix
expect grant $fix live
expect verify
