using Shared.Configuration;
using Shared.Http;

namespace Gateway.Admin;

/// <summary>Ends a request with an error; what throws it has changed nothing.</summary>
internal sealed class AdminProblem(GatewayError error) : Exception(error.Message)
{
    public GatewayError Error { get; } = error;

    public static AdminProblem BadParameter(string name, string message) =>
        new(new GatewayError(StatusCodes.Status400BadRequest, "invalid_parameter", message) { Field = name, Errors = [new FieldError(name, message)] });

    public static AdminProblem BadBody(string code, string? field, string message) =>
        new(new GatewayError(StatusCodes.Status400BadRequest, code, message) { Field = field, Errors = [new FieldError(field, message)] });

    /// <summary>A declaration that is wrong. Errors of other places, which the change would cause, are told with the place.</summary>
    public static AdminProblem Invalid(string code, string source, IReadOnlyList<ConfigError> errors, int status = StatusCodes.Status400BadRequest)
    {
        List<FieldError> fields = [.. errors.Select(error => error.File == source ? new FieldError(Field(error.Path), error.Message) : new FieldError(null, error.ToString()))];
        var detail = string.Join("; ", fields.Select(field => field.Field is null ? field.Message : $"{field.Field}: {field.Message}"));
        return new AdminProblem(new GatewayError(status, code, detail) { Field = fields[0].Field, Errors = fields });
    }

    public static AdminProblem NotFound(string kind, string id) =>
        new(new GatewayError(StatusCodes.Status404NotFound, $"unknown_{kind}", $"There is no {(kind == "key" ? "virtual key" : kind.Replace('_', ' '))} '{id}'.") { Field = "id" });

    public static AdminProblem Conflict(string code, string message) => new(new GatewayError(StatusCodes.Status409Conflict, code, message));

    public static AdminProblem DeclaredInFile(string what, string origin) =>
        new(new GatewayError(StatusCodes.Status409Conflict, "declared_in_file", $"{what} is declared in {origin}; change it there.") { Field = "id" });

    public static AdminProblem StateChanged(string what) =>
        new(new GatewayError(StatusCodes.Status412PreconditionFailed, "state_changed", $"{what} is not in the state that the request was made for; read it anew.") { Field = "If-Match" });

    private static string? Field(string path) => path.Length == 0 ? null : path;
}
