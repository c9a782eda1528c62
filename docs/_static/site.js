/* What can be moved sideways can be reached by the keyboard; a signature's lines are no list of definitions. */
addEventListener("DOMContentLoaded", () => {
  const reach = () => {
    for (const box of document.querySelectorAll("pre, .table-wrapper, div.math"))
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  };
  reach();
  addEventListener("resize", reach);
  for (const part of document.querySelectorAll("dt.sig dl, dt.sig dd")) part.setAttribute("role", "none");
});
