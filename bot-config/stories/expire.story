# Asked, refused to its own requester, countersigned, and over when its time is up.
@requester: /access prod-db 30m fixing INC-42      => $fix
expect card $fix in #approvals: prod-db, 30m, 0 of 1
@requester: /access approve $fix
expect refusal: can't approve their own request
@approver: /access approve $fix
expect grant $fix live
after 31m
expect grant $fix ended expired
