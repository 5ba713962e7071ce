import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import 'swagger-ui-dist/swagger-ui.css';
import '../ui/tokens.css';
import '../ui/ui.css';
import '../page/page.css';
import './docs.css';

SwaggerUI({
  dom_id: '#docs',
  url: '/openapi.json',
  // By default the viewer sends the document to swagger.io; this page requests no other origin.
  validatorUrl: null,
  // Deep links put an anchor inside each operation's button, which is invalid for screen readers.
  deepLinking: false,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  syntaxHighlight: { activated: true, theme: 'tomorrow-night' },
});
