// Tables that are wider than the page scroll in a box of the theme's; a keyboard reaches it, too.
const boxes = () => document.querySelectorAll('.md-typeset__scrollwrap').forEach((box) => (box.tabIndex = 0));
new MutationObserver(boxes).observe(document.body, {childList: true, subtree: true});
boxes();
