/** The options that the page uses; swagger-ui-dist ships no types. */
declare module 'swagger-ui-dist/swagger-ui-es-bundle.js' {
  interface Options {
    dom_id: string;
    url: string;
    validatorUrl: string | null;
    deepLinking: boolean;
    docExpansion: 'list' | 'full' | 'none';
    defaultModelsExpandDepth: number;
    displayRequestDuration: boolean;
    syntaxHighlight: { activated: boolean; theme: string };
  }
  export default function SwaggerUI(options: Options): unknown;
}
