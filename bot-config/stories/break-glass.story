# In an emergency: access at once, loudly, cut by one button, and a review by somebody else.
@requester: /access break-glass prod-db 2h the orders are down
expect refusal: too_long
@guard: /access break-glass prod-db 15m looking around
expect refusal: you may not break the glass
@requester on slack: /access break-glass prod-db 30m the orders are down, INC-77      => $fire
expect grant $fire live until 09:30
expect card $fire in #approvals: BREAK-GLASS, Open before any approval, broke the glass
expect card $fire in #security: BREAK-GLASS, the orders are down
# The card names the person, the resource, the reason and the end.
expect card $fire in #approvals: Requester: @requester, Resource: prod-db, "Reason: the orders are down, INC-77"
expect card $fire in #approvals: Ends: 2026-01-05 09:30:00 UTC
expect notice to @guard: without anybody's approval
expect notice to @approver on slack: without anybody's approval
after 5m
@guard presses Cut it now on $fire
expect grant $fire ended revoked
expect grant $fire owing
expect card $fire in #security: cut by @guard, owes a review
expect notice to @guard: owes a review

# It blocks the next one, until somebody else has looked back.
@requester: /access break-glass prod-db 15m again
expect refusal: review_owed
@requester: /access review $fire ok all was well
expect refusal: nobody reviews their own break-glass
after 12h
expect notice to @guard: owes a review
after 12h
expect card $fire in #security: Its review is overdue
expect notice to @approver: overdue
expect in #security: overdue
@guard: /access review $fire concern
expect refusal: no_reason
@guard: /access review $fire concern the alarm was a false one
expect entry review.given
expect card $fire in #security: Reviewed with a concern by @guard
expect notice to @requester: was reviewed
expect in #security: the alarm was a false one
@requester: /access break-glass prod-db 15m the orders are down again    => $next
after 15m
expect grant $next ended expired
@approver presses Review: ok… on $next: one row was mended, INC-78
expect card $next in #approvals: found in order by @approver
expect verify

# When the glass may be broken is policy too: by this one not at night, by the clocks of Berlin.
reload nights
at 2026-01-07 05:59 Europe/Berlin
@requester: /access break-glass prod-db 15m the orders are down at night
expect refusal: the glass is not broken before six
after 1m
@requester: /access break-glass prod-db 15m the orders are down          => $dawn
expect grant $dawn live until 06:15
