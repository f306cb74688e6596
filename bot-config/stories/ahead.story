# Approved ahead: who may ask for what, within which time. The one who said it counts as the approver.
@approver: /access allow requester prod-db 30m within 4h the migration of tonight
expect entry preapproval.given
@requester: /access allow requester prod-db 30m let me in
expect refusal: own_request
@requester: /access prod-db 30m the migration                    => $one
expect grant $one live until 09:30
expect card $one in #approvals: approved by @approver, ahead of time
# For longer, or for somebody else, it is no approval.
@requester: /access prod-db 1h a longer migration                => $two
expect grant $two pending
@requester: /access cancel $two
after 4h
@requester: /access prod-db 30m too late                         => $three
expect grant $three pending
@approver: /access approve $three
expect grant $three live
