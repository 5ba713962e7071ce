import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import 'swagger-ui-dist/swagger-ui.css';
import '../ui/tokens.css';
import '../ui/ui.css';
import '../page/page.css';
import './docs.css';

SwaggerUI({
  dom_id: '#docs',
  url: '/openapi.json',
  // The viewer would ask swagger.io to validate the document; this page asks nobody but the store.
  validatorUrl: null,
  // Deep links would put an anchor inside each operation's button, which assistive technology trips on.
  deepLinking: false,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  syntaxHighlight: { activated: true, theme: 'tomorrow-night' },
});
