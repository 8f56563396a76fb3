using System.Text.Json;
using Shared.Snapshots;
using Shared.Stored;

namespace Gateway.Admin;

/// <summary>Changes what is stored, and tells what is wrong in the words of the request.</summary>
internal sealed class ConfigurationChanges(SnapshotLoader loader)
{
    /// <summary>Makes a change. When it returns, the change is in force; with <c>dryRun</c>, it could be.</summary>
    /// <param name="context">The request.</param>
    /// <param name="source">What errors of the changed declaration call it.</param>
    /// <param name="code">The code of the error that a wrong declaration becomes.</param>
    /// <param name="edit">Makes the changed configuration.</param>
    /// <param name="status">The status of such an error.</param>
    /// <returns>The revision that serves, or would.</returns>
    /// <exception cref="AdminProblem">Nothing was changed.</exception>
    public async Task<string> MakeAsync(HttpContext context, string source, string code, Func<StoredConfiguration, StoredConfiguration> edit, int status = StatusCodes.Status400BadRequest)
    {
        var outcome = await loader.ChangeAsync(edit, context.By(), context.IsDryRun());
        if (outcome.Errors.Count > 0)
        {
            throw AdminProblem.Invalid(code, source, outcome.Errors, status);
        }
        return outcome.Succeeded ? outcome.Revision
            : throw AdminProblem.Conflict("configuration_refused", $"The configuration files have errors, so that no change can take effect; mend them first: {string.Join("; ", outcome.ElsewhereErrors)}");
    }

    /// <summary>Answers a change that was only to be judged.</summary>
    public static Task AnswerDryRunAsync(HttpContext context, string revision) => AdminJson.WriteAsync(context, StatusCodes.Status200OK, (Utf8JsonWriter json) =>
    {
        json.WriteStartObject();
        json.WriteBoolean("dryRun", true);
        json.WriteString("revision", revision);
        json.WriteEndObject();
    });
}
