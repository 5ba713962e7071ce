export function Footer() {
  return (
    <footer className="footer">
      <p>Storefront</p>
      <ul className="sf-list">
        <li>
          <a href="/docs">API reference</a>
        </li>
        <li>
          <a href="/openapi.json">OpenAPI</a>
        </li>
      </ul>
    </footer>
  );
}
