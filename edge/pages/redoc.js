window.addEventListener("load", () => {
  const letters = 'system-ui, "DejaVu Sans", sans-serif';
  Redoc.init(
    "/openapi.json",
    {
      expandResponses: "",
      hideDownloadButton: false,
      nativeScrollbars: true,
      theme: {
        colors: { primary: { main: "#0b6b74" } },
        typography: {
          fontFamily: letters,
          headings: { fontFamily: letters },
          code: { fontFamily: 'ui-monospace, "DejaVu Sans Mono", monospace' },
        },
      },
    },
    document.getElementById("interface"),
  );
});
