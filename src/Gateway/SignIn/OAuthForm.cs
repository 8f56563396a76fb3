using Microsoft.AspNetCore.Http.Features;

namespace Gateway.SignIn;

/// <summary>Reads the forms of OAuth's endpoints.</summary>
internal static class OAuthForm
{
    private const int MaxValue = 16 * 1024;
    private const int MaxFields = 32;

    /// <summary>The fields, none of which stands twice; null: it is no such form.</summary>
    public static async Task<IFormCollection?> ReadAsync(HttpContext context)
    {
        if (!context.Request.HasFormContentType || context.Request.ContentType!.StartsWith("multipart/", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }
        try
        {
            var form = await context.Request.ReadFormAsync(new FormOptions { ValueLengthLimit = MaxValue, KeyLengthLimit = 128, ValueCountLimit = MaxFields }, context.RequestAborted);
            return form.Any(field => field.Value.Count > 1) ? null : form;
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }
}
